/* nvsim create and add: a host, its driver and its GPUs. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "answers.h"
#include "nvsim.h"

void new_boot_id(void)
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

/* Beside the state, for the library of every process that asks. */
static int keep_recording(const char *path, int slot)
{
    char name[PATH_MAX + 64], block[65536];
    snprintf(name, sizeof name, "%s/recording.%d", state_dir, slot);
    FILE *from = fopen(path, "re"), *to = fopen(name, "we");
    size_t n = 0;
    while (from && to && (n = fread(block, 1, sizeof block, from)) > 0)
        fwrite(block, 1, n, to);
    if (from)
        fclose(from);
    return to && fclose(to) == 0 ? 0 : fail("%s: cannot write: %s", name, strerror(errno));
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
    else {
        snprintf(path, sizeof path, "%s/boards/%s.probe", home, board);
        if (access(path, F_OK) != 0)
            snprintf(path, sizeof path, "%s/boards/%s.board", home, board);
    }
    struct recording *recording = is_recording(path) ? recording_read(path, why, sizeof why) : NULL;
    if (recording)
        board_from_recording(recording, &b);
    else if (is_recording(path) || !board_read(path, &b, why, sizeof why))
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
    if (recording) {
        gpu_as_recorded(recording, g);
        recording_free(recording);
        return keep_recording(path, slot);
    }
    return 0;
}

/* NVML's major number is CUDA's, whose newest is told as 10 times thousands. */
void name_driver(const char *driver)
{
    static const struct { int from, cuda; } ages[] = {{595, 13020}, {580, 13000}, {570, 12080}, {535, 12020}, {510, 11060},
                                                      {450, 11000}, {0, 10010}};
    int i = 0;
    while (atoi(driver) < ages[i].from)
        i++;
    st->cuda = ages[i].cuda;
    snprintf(st->driver, sizeof st->driver, "%s", driver);
    snprintf(st->nvml_version, sizeof st->nvml_version, "%d.%.24s", atoi(driver) >= 595 ? 14 : st->cuda / 1000, driver);
}

int verb_create(int argc, char **argv)
{
    const char *driver = NULL, *gpus[MAX_GPUS];
    char path[PATH_MAX + 64];
    int n = 0, wsl = 0;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--gpu") == 0 && i + 1 < argc && n < MAX_GPUS)
            gpus[n++] = argv[++i];
        else if (strcmp(argv[i], "--driver") == 0 && i + 1 < argc)
            driver = argv[++i];
        else if (strcmp(argv[i], "--wsl") == 0)
            wsl = 1;
        else
            return usage("create");
    if (!make_dirs(state_dir))
        return fail("%s: %s", state_dir, strerror(errno));
    sysroot_clear(state_dir);
    st = state_create(state_dir);
    if (!st)
        return fail("%s: cannot create the state there: %s", state_dir, strerror(errno));
    st->wsl = wsl;
    new_boot_id();
    for (int i = 0; i < n; i++)
        if (host_add_gpu(gpus[i]) != 0) {
            unlink(strcat(strcpy(path, state_dir), "/state"));
            return 1;
        }
    snprintf(path, sizeof path, "%s/boards/costs.txt", home);
    costs_read(st, path);
    if (!driver)        /* a recorded board brings the driver that it was recorded with */
        driver = n && st->gpus[0].board.driver[0] ? st->gpus[0].board.driver : "580.159.04";
    name_driver(driver);
    driver_load(st);
    for (int i = 0; i < n; i++) {
        struct recording *recording = NULL;
        char why[256];
        snprintf(path, sizeof path, "%s/recording.%d", state_dir, i);
        if (st->gpus[i].board.recorded && (recording = recording_read(path, why, sizeof why)))
            gpu_as_recorded(recording, &st->gpus[i]);
        recording_free(recording);
    }
    sysroot_write(st, state_dir);
    st->magic = STATE_MAGIC;    /* last: until now nobody takes the file for a host */
    return 0;
}
