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
        name_driver(argv[1]);
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
    {"create", "--gpu BOARD|FILE[,uuid=U][,pci=P]... [--driver V] [--wsl]", "make a host; boards/ has the boards", verb_create},
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
