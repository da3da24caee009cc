/* DIR/root: stand-ins for the kernel's files that tell about GPUs and the driver. */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sim.h"

static char root[PATH_MAX - 256];

static void make_dirs(char *path)
{
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0755);
            *p = '/';
        }
}

static void put(const char *content, size_t len, const char *fmt, ...)
{
    char path[PATH_MAX], tail[256], tmp[PATH_MAX + 8];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    snprintf(path, sizeof path, "%s/%s", root, tail);
    make_dirs(path);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "we");
    if (!f)
        return;
    fwrite(content, 1, len, f);
    fclose(f);
    rename(tmp, path);      /* a reader sees the old file or the new one, never half of it */
}

static void text(const char *content, const char *fmt, ...)
{
    char tail[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    put(content, strlen(content), "%s", tail);
}

static void once(const char *content, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (access(path, F_OK) != 0)    /* a test may have changed it: leave that */
        text(content, "%s", name);
}

/* Everybody may open the device files: what one may do with a GPU is decided call by call. */
static void device_node(const char *name)
{
    char path[PATH_MAX];
    once("", name);
    snprintf(path, sizeof path, "%s/%s", root, name);
    chmod(path, 0666);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path) && errno != ENOENT;
}

static void remove_tree(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void link_to(const char *target, const char *fmt, ...)
{
    char path[PATH_MAX], tail[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    snprintf(path, sizeof path, "%s/%s", root, tail);
    make_dirs(path);
    char now[PATH_MAX];
    ssize_t n = readlink(path, now, sizeof now - 1);
    if (n >= 0) {
        now[n] = 0;
        if (strcmp(now, target) == 0)
            return;     /* an unchanged link keeps its inode: that is how a rebind is told from none */
        unlink(path);
    }
    if (symlink(target, path) != 0)
        perror(path);
}

static void config_space(const struct gpu *g)
{
    unsigned char c[64];
    const struct board *b = &g->board;
    memset(c, g->lost ? 0xff : 0, sizeof c);    /* a board that fell off the bus reads all ones */
    if (!g->lost) {
        c[0] = b->pci_device_id & 255, c[1] = b->pci_device_id >> 8 & 255;
        c[2] = b->pci_device_id >> 16 & 255, c[3] = b->pci_device_id >> 24;
        c[4] = 6, c[6] = 0x10;
        c[10] = b->pci_class >> 8 & 255, c[11] = b->pci_class >> 16 & 255;
    }
    put((char *)c, sizeof c, "sys/bus/pci/devices/%s/config", g->pci);
}

static void pci_entry(const struct state *s, const struct gpu *g)
{
    if (!g->board.pci_device_id)    /* a Jetson's is on no such bus */
        return;
    static const char *speed[] = {"", "2.5", "5.0", "8.0", "16.0", "32.0", "64.0"};
    const struct board *b = &g->board;
    char line[512];
#define DEV "sys/bus/pci/devices/%s/"
    snprintf(line, sizeof line, "0x%04x\n", b->pci_device_id & 0xffff);
    text(line, DEV "vendor", g->pci);
    snprintf(line, sizeof line, "0x%04x\n", b->pci_device_id >> 16);
    text(line, DEV "device", g->pci);
    snprintf(line, sizeof line, "0x%06x\n", b->pci_class);
    text(line, DEV "class", g->pci);
    text("0\n", DEV "numa_node", g->pci);
    text(g->asleep ? "suspended\n" : "active\n", DEV "power/runtime_status", g->pci);
    snprintf(line, sizeof line, "%s GT/s PCIe\n", speed[b->pcie_gen]);
    text(line, DEV "max_link_speed", g->pci);
    text(line, DEV "current_link_speed", g->pci);
    snprintf(line, sizeof line, "%u\n", b->pcie_width);
    text(line, DEV "max_link_width", g->pci);
    text(line, DEV "current_link_width", g->pci);
    config_space(g);
    if (!s->loaded)
        return;
    link_to("../../../../bus/pci/drivers/nvidia", DEV "driver", g->pci);
    snprintf(line, sizeof line, "../../../../bus/pci/devices/%s", g->pci);
    link_to(line, "sys/bus/pci/drivers/nvidia/%s", g->pci);
    snprintf(line, sizeof line,
             "Model: \t\t %s\nIRQ:   \t\t %u\nGPU UUID: \t %s\nVideo BIOS: \t %s\nBus Type: \t PCIe\n"
             "DMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\nBus Location: \t %s\n"
             "Device Minor: \t %u\nGPU Firmware: \t %s\nGPU Excluded:\t No\n",
             b->name, 41 + g->minor, g->uuid, b->vbios, g->pci, g->minor, s->driver);
    text(line, "proc/driver/nvidia/gpus/%s/information", g->pci);
}

void sysroot_runtime(const struct gpu *g, const char *dir)
{
    snprintf(root, sizeof root, "%s/root", dir);
    text(g->asleep ? "suspended\n" : "active\n", "sys/bus/pci/devices/%s/power/runtime_status", g->pci);
}

static void pci_gone(const struct gpu *g, int device_too)
{
    char name[256];
    snprintf(name, sizeof name, "sys/bus/pci/drivers/nvidia/%s", g->pci);
    remove_tree(name);
    snprintf(name, sizeof name, "proc/driver/nvidia/gpus/%s", g->pci);
    remove_tree(name);
    snprintf(name, sizeof name, "sys/bus/pci/devices/%s%s", g->pci, device_too ? "" : "/driver");
    remove_tree(name);
}

/* Another GPU may have come to the address of one that was taken out. */
static int address_taken(const struct state *s, const struct gpu *gone)
{
    for (int i = 0; i < s->n_slots; i++)
        if (s->gpus[i].present && strcmp(s->gpus[i].pci, gone->pci) == 0)
            return 1;
    return 0;
}

void sysroot_clear(const char *dir)
{
    snprintf(root, sizeof root, "%s/root", dir);
    remove_tree("");
}

/* Brought up to date piece by piece: what did not change stays readable all the while. */
void sysroot_write(struct state *s, const char *dir)
{
    char line[PATH_MAX];
    snprintf(root, sizeof root, "%s/root", dir);
    mkdir(root, 0755);
    once("1\n", "proc/sys/kernel/numa_balancing");
    once("0\n", "sys/devices/system/node/online");
    device_node(s->wsl ? "dev/dxg" : "dev/nvidiactl");
    snprintf(line, sizeof line, "%s/sys/class/power_supply/", root);
    make_dirs(line);
    snprintf(line, sizeof line, "%s/sys/bus/pci/devices/", root);
    make_dirs(line);
    snprintf(line, sizeof line, "%s\n", s->boot_id);
    text(line, "proc/sys/kernel/random/boot_id");
    if (s->wsl)         /* the driver is Windows': /proc and /sys show none of it, nor a device */
        return;
    if (s->loaded) {
        snprintf(line, sizeof line, "%s/sys/bus/pci/drivers/nvidia/", root);
        make_dirs(line);
    }
    for (int i = 0; i < s->n_slots; i++)
        if (s->gpus[i].present) {
            snprintf(line, sizeof line, "dev/nvidia%u", s->gpus[i].minor);
            device_node(line);
            pci_entry(s, &s->gpus[i]);
        }
    for (int i = 0; i < s->n_slots; i++)
        if (s->gpus[i].present ? !s->loaded : !address_taken(s, &s->gpus[i]))
            pci_gone(&s->gpus[i], !s->gpus[i].present);
    if (s->loaded) {
        snprintf(line, sizeof line, "libnvidia-ml.so.%s", s->driver);
        link_to(line, "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1");
        snprintf(line, sizeof line, "%s\n", s->driver);
        text(line, "sys/module/nvidia/version");
        text("live\n", "sys/module/nvidia/initstate");
        snprintf(line, sizeof line,
                 "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Mon Jun  1 00:00:00 UTC 2026\n"
                 "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14+deb12u1)\n", s->driver);
        text(line, "proc/driver/nvidia/version");   /* last: whoever sees it finds the rest complete */
    } else {
        remove_tree("proc/driver/nvidia/version");
        remove_tree("proc/driver/nvidia");
        remove_tree("sys/module/nvidia");
        remove_tree("sys/bus/pci/drivers/nvidia");
    }
}
