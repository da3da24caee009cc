/* Who has the GPUs open. A process is known by pid and start time, so that a killed one is noticed
 * and a reused pid is not mistaken for it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "sim.h"

unsigned long long process_started(int pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *p = strrchr(text, ')');   /* the name may hold blanks and brackets */
    if (!p || p[1] == 0 || p[2] == 'Z' || p[2] == 'X')
        return 0;                   /* a zombie has closed its files */
    unsigned long long started = 0;
    int field = 2;
    for (char *tok = strtok(p + 1, " "); tok; tok = strtok(NULL, " "))
        if (++field == 22)
            started = strtoull(tok, NULL, 10);
    return started;
}

int clients_count(struct state *s)
{
    int n = 0;
    for (int i = 0; i < MAX_CLIENTS; i++)
        n += s->clients[i].pid != 0;
    return n;
}

/* Runtime power management: the bus wakes a GPU for whoever opens it, and it sleeps when nobody has it open. */
void runtime_power(struct state *s)
{
    int used = clients_count(s) > 0;
    for (int i = 0; i < s->n_slots; i++) {
        struct gpu *g = &s->gpus[i];
        if (!g->runtime_auto || g->asleep == !used)
            continue;
        g->asleep = !used;
        g->wakes += used;
        sysroot_runtime(g, nvsim_dir);
    }
}

void last_client_left(struct state *s)
{
    /* Without persistence the driver shuts a GPU down when nobody has it open any more. */
    for (int i = 0; i < s->n_slots; i++) {
        struct gpu *g = &s->gpus[i];
        if (g->present && !g->lost && !g->set.persistence)
            gpu_initialise(s, g);
    }
    runtime_power(s);
}

void clients_reap(struct state *s, int always)
{
    int64_t now = now_ns(CLOCK_MONOTONIC);
    if (!always && now - s->reaped_ns < 50000000)
        return;
    s->reaped_ns = now;
    int gone = 0;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->pid && process_started(c->pid) != c->started) {
            c->pid = 0;
            gone = 1;
        }
    }
    if (gone && clients_count(s) == 0)
        last_client_left(s);
}

struct client *client_attach(struct state *s, int pid)
{
    clients_reap(s, 1);
    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->pid)
            continue;
        memset(c, 0, sizeof *c);
        c->pid = pid;
        c->started = process_started(pid);
        c->since_ns = now_ns(CLOCK_REALTIME);
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *f = fopen(path, "re");
        if (f) {
            if (fgets(c->comm, sizeof c->comm, f))
                c->comm[strcspn(c->comm, "\n")] = 0;
            fclose(f);
        }
        for (int k = 0; k < MAX_GPUS; k++)
            c->generation[k] = s->gpus[k].generation;
        return c;
    }
    return NULL;
}

void client_detach(struct state *s, struct client *c)
{
    if (c->pid == getpid())     /* after a simulated reboot the place may be somebody else's */
        c->pid = 0;
    clients_reap(s, 1);
    if (clients_count(s) == 0)
        last_client_left(s);
}
