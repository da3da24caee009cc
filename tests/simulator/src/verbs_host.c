/* Verbs about the host and its driver. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "nvsim.h"

int host_add_gpu(const char *spec);

static void new_boot_id(void)
{
    FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");
    if (!f || !fgets(st->boot_id, sizeof st->boot_id, f))
        snprintf(st->boot_id, sizeof st->boot_id, "00000000-0000-4000-8000-%012lld", (long long)time(NULL));
    st->boot_id[strcspn(st->boot_id, "\n")] = 0;
    if (f)
        fclose(f);
}

static int make_dirs(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0755);
            *p = '/';
        }
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

int host_add_gpu(const char *spec)
{
    char text[512], path[PATH_MAX + 64], why[PATH_MAX + 128], uuid[48] = "", pci[20] = "";
    snprintf(text, sizeof text, "%s", spec);
    char *board = strtok(text, ",");
    if (!board)
        return fail("--gpu wants a board, such as rtx-5090-575");
    for (char *part = strtok(NULL, ","); part; part = strtok(NULL, ","))
        if (strncmp(part, "uuid=", 5) == 0)
            snprintf(uuid, sizeof uuid, "%.47s", part + 5);
        else if (strncmp(part, "pci=", 4) == 0)
            snprintf(pci, sizeof pci, "%.19s", part + 4);
        else
            return fail("\"%s\": known are uuid= and pci=", part);
    if (st->n_slots == MAX_GPUS)
        return fail("a simulated host holds %d GPUs at most", MAX_GPUS);
    struct board b;
    if (strchr(board, '/'))
        snprintf(path, sizeof path, "%s", board);
    else
        snprintf(path, sizeof path, "%s/boards/%s.board", home, board);
    if (!board_read(path, &b, why, sizeof why))
        return fail("%s", why);
    snprintf(b.id, sizeof b.id, "%.31s", board);
    int slot = st->n_slots++;
    struct gpu *g = &st->gpus[slot];
    memset(g, 0, sizeof *g);
    g->board = b;
    if (!uuid[0])
        /* the beginnings differ, as those of real boards do: people tell boards by them */
        snprintf(uuid, sizeof uuid, "GPU-%08x-0000-4000-8000-%012d", 0x5b1c9f2eu ^ (slot * 0x9e3779b1u), slot);
    if (!pci[0])
        snprintf(pci, sizeof pci, "0000:%02x:00.0", slot + 1);
    snprintf(g->uuid, sizeof g->uuid, "%s", uuid);
    snprintf(g->pci, sizeof g->pci, "%s", pci);
    if (g->board.serial[0])     /* recorded serial numbers are placeholders: make them differ */
        snprintf(g->board.serial, sizeof g->board.serial, "16500000000%02d", slot + 1);
    g->minor = (unsigned)slot;
    g->present = 1;
    g->forced_temp = -1000;
    g->process_pid = 4194303;   /* nobody: pids end at 4194304 */
    g->generation = 1;
    gpu_initialise(st, g);
    physics_start(g);
    st->order[st->n_order++] = slot;
    return 0;
}

int verb_create(int argc, char **argv)
{
    const char *driver = "580.159.04", *gpus[MAX_GPUS];
    char path[PATH_MAX + 64];
    int n = 0;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--gpu") == 0 && i + 1 < argc && n < MAX_GPUS)
            gpus[n++] = argv[++i];
        else if (strcmp(argv[i], "--driver") == 0 && i + 1 < argc)
            driver = argv[++i];
        else
            return usage("create");
    if (!make_dirs(state_dir))
        return fail("%s: %s", state_dir, strerror(errno));
    sysroot_clear(state_dir);
    st = state_create(state_dir);
    if (!st)
        return fail("%s: cannot create the state there: %s", state_dir, strerror(errno));
    snprintf(st->driver, sizeof st->driver, "%s", driver);
    snprintf(st->nvml_version, sizeof st->nvml_version, "%d.%.24s", atoi(driver) >= 595 ? 14 : atoi(driver) >= 580 ? 13 : 12, driver);
    st->cuda = atoi(driver) >= 595 ? 13020 : atoi(driver) >= 580 ? 13000 : 12080;
    new_boot_id();
    for (int i = 0; i < n; i++)
        if (host_add_gpu(gpus[i]) != 0) {
            unlink(strcat(strcpy(path, state_dir), "/state"));
            return 1;
        }
    snprintf(path, sizeof path, "%s/boards/costs.txt", home);
    costs_read(st, path);
    driver_load(st);
    sysroot_write(st, state_dir);
    st->magic = STATE_MAGIC;    /* last: until now nobody takes the file for a host */
    return 0;
}

static void print_env(int json, const char *name, const char *value)
{
    if (json)
        json_text(name, value);
    else
        printf("export %s='%s'\n", name, value);
}

static void with_before(char *out, size_t len, const char *mine, const char *variable)
{
    const char *old = getenv(variable);
    if (!old || !*old)
        snprintf(out, len, "%s", mine);
    else if (strncmp(old, mine, strlen(mine)) == 0)     /* asked twice in one shell */
        snprintf(out, len, "%s", old);
    else
        snprintf(out, len, "%s:%s", mine, old);
}

int verb_env(int argc, char **argv)
{
    int json = argc == 1 && strcmp(argv[0], "--json") == 0;
    char dir[PATH_MAX], mine[PATH_MAX + 64], value[3 * PATH_MAX];
    if (argc != json)
        return usage("env");
    if (!realpath(state_dir, dir))
        return fail("%s: %s", state_dir, strerror(errno));
    if (json)
        json_open(NULL, '{');
    print_env(json, "NVSIM_STATE", dir);
    snprintf(mine, sizeof mine, "%s/build", home);
    with_before(value, sizeof value, mine, "LD_LIBRARY_PATH");
    print_env(json, "LD_LIBRARY_PATH", value);
    snprintf(mine, sizeof mine, "%s/build/libnvsim-preload.so", home);
    with_before(value, sizeof value, mine, "LD_PRELOAD");
    print_env(json, "LD_PRELOAD", value);
    snprintf(value, sizeof value, "%s/root", dir);
    print_env(json, "GPU_TUNED_SYSROOT", value);
    if (json) {
        json_close('}');
        json_end();
    }
    return 0;
}

static int refused_by_clients(const char *what, int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[argc - 1], "--force") == 0)
        return 0;
    int n = clients_count(st);
    if (n == 0)
        return 0;
    fprintf(stderr, "nvsim: %s refused: in use by", what);
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (st->clients[i].pid)
            fprintf(stderr, " %d (%s)", st->clients[i].pid, st->clients[i].comm);
    fputc('\n', stderr);
    return 1;
}

static int verb_unload(int argc, char **argv)
{
    if (!st->loaded)
        return fail("the driver is not loaded");
    if (refused_by_clients("unload", argc, argv))
        return 1;
    driver_unload(st);
    sysroot_write(st, state_dir);
    return 0;
}

static int load_driver(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "--driver") == 0)
        snprintf(st->driver, sizeof st->driver, "%s", argv[1]);
    driver_load(st);
    sysroot_write(st, state_dir);
    return 0;
}

static int verb_load_driver(int argc, char **argv)
{
    return st->loaded ? fail("the driver is loaded already") : load_driver(argc, argv);
}

static int verb_reload(int argc, char **argv)
{
    if (st->loaded && refused_by_clients("reload", argc, argv))
        return 1;
    if (st->loaded) {
        driver_unload(st);
        sysroot_write(st, state_dir);   /* the devices are unbound, and bound anew by the load */
    }
    return load_driver(argc, argv);
}

static int verb_reboot(int argc, char **argv)
{
    (void)argc, (void)argv;
    memset(st->clients, 0, sizeof st->clients);
    for (int i = 0; i < st->n_slots; i++)
        st->gpus[i].lost = 0;
    if (st->loaded) {
        driver_unload(st);
        sysroot_write(st, state_dir);
    }
    new_boot_id();
    driver_load(st);
    sysroot_write(st, state_dir);
    return 0;
}

static int verb_mismatch(int argc, char **argv)
{
    return argc == 1 ? !on_off(argv[0], &st->mismatch) : usage("mismatch");
}

static int verb_suspend(int argc, char **argv)
{
    double seconds, settle = 2.0;
    if (argc < 1 || !number(argv[0], &seconds) || (argc == 3 && (strcmp(argv[1], "--settle") != 0 || !number(argv[2], &settle))))
        return usage("suspend");
    driver_resume(st, seconds, settle);
    return 0;
}

static int verb_speed(int argc, char **argv)
{
    double factor;
    if (argc != 1 || !number(argv[0], &factor) || factor < 0)
        return usage("speed");
    sim_rebase(st);
    st->speed = factor;
    if (factor == 0)            /* whoever stops the time steps it by hand and wants the same each run */
        st->base_sim_ns += (TICK_NS - st->base_sim_ns % TICK_NS) % TICK_NS;
    return 0;
}

static int verb_advance(int argc, char **argv)
{
    double seconds;
    if (argc != 1 || !number(argv[0], &seconds) || seconds < 0)
        return usage("advance");
    sim_rebase(st);
    st->base_sim_ns += llround(seconds * 1e9);
    physics_advance(st);
    return 0;
}

static int verb_costs(int argc, char **argv)
{
    return argc == 1 ? !on_off(argv[0], &st->costs_on) : usage("costs");
}

const struct verb host_verbs[] = {
    {"create", "--gpu BOARD[,uuid=U][,pci=P]... [--driver V]", "make a host; boards/ has the boards", verb_create},
    {"env", "[--json]", "export lines for programs that shall use it", verb_env},
    {"unload", "[--force]", "unload the driver; refused while somebody has it open", verb_unload},
    {"load-driver", "[--driver V]", "load it again", verb_load_driver},
    {"reload", "[--driver V] [--force]", "both; every setting is back at its default", verb_reload},
    {"reboot", "", "new boot id, nobody attached, everything at its default", verb_reboot},
    {"mismatch", "on|off", "library and driver differ: every init fails with 18", verb_mismatch},
    {"suspend", "SECONDS [--settle S]", "sleep and wake; writes within S (2) after it get lost", verb_suspend},
    {"speed", "FACTOR", "simulated seconds in one real second; 0 stands still", verb_speed},
    {"advance", "SECONDS", "let this much simulated time pass at once", verb_advance},
    {"costs", "on|off", "calls take as long as recorded (boards/costs.txt)", verb_costs},
    {NULL, NULL, NULL, NULL},
};
