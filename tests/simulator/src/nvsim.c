/* nvsim: drives the simulated driver from outside. */
#define _GNU_SOURCE
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "nvsim.h"

struct state *st;
const char *state_dir;
char home[PATH_MAX];

static const struct verb *const tables[] = {host_verbs, gpu_verbs, show_verbs, fault_verbs, answer_verbs, set_verbs};
static const char *const titles[] = {"The host", "GPUs", "Looking at it", "Faults", "Other answers", "A stranger's writes"};

int fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("nvsim: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return 1;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct verb *v = tables[t]; v->name; v++)
            if (strcmp(v->name, name) == 0)
                return v;
    return NULL;
}

int usage(const char *name)
{
    const struct verb *v = find_verb(name);
    fprintf(stderr, "usage: nvsim [--state DIR] %s %s\n", name, v ? v->args : "");
    return 2;
}

static int help(FILE *out)
{
    fprintf(out, "usage: nvsim [--state DIR] VERB ...\n\n"
                 "Drives a simulated NVIDIA driver. DIR holds the simulated host (default: $NVSIM_STATE).\n"
                 "GPU is an index, a UUID or a PCI address.\n");
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        fprintf(out, "\n%s\n", titles[t]);
        for (const struct verb *v = tables[t]; v->name; v++)
            fprintf(out, "  %-10s %-38s %s\n", v->name, v->args, v->help);
    }
    fprintf(out, "\nExit: 0 done, 1 refused or failed, 2 usage.\n");
    return 0;
}

int find_gpu(const char *word)
{
    char *end;
    long index = strtol(word, &end, 10);
    if (*word && !*end) {
        if (index >= 0 && index < st->n_order)
            return st->order[index];
        fail("no GPU with index %s; there are %d", word, st->n_order);
        return -1;
    }
    for (int i = 0; i < st->n_slots; i++)
        if (strcasecmp(st->gpus[i].uuid, word) == 0 || strcasecmp(st->gpus[i].pci, word) == 0
            || (strlen(word) == 7 && strcasecmp(st->gpus[i].pci + 5, word) == 0))
            return i;
    fail("no GPU \"%s\": give an index, a UUID or a PCI address", word);
    return -1;
}

int number(const char *word, double *out)
{
    char *end;
    *out = strtod(word, &end);
    if (!*word || *end) {
        fail("\"%s\" is no number", word);
        return 0;
    }
    return 1;
}

int on_off(const char *word, int *out)
{
    *out = strcmp(word, "on") == 0 || strcmp(word, "true") == 0 || strcmp(word, "1") == 0;
    if (*out || strcmp(word, "off") == 0 || strcmp(word, "false") == 0 || strcmp(word, "0") == 0)
        return 1;
    fail("\"%s\" is neither on nor off", word);
    return 0;
}

int main(int argc, char **argv)
{
    char *rest[argc + 1];
    int n = 0;
    ssize_t len = readlink("/proc/self/exe", home, sizeof home - 1);
    home[len > 0 ? len : 0] = 0;
    dirname(home);
    state_dir = getenv("NVSIM_STATE");
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--state") == 0 && i + 1 < argc)
            state_dir = argv[++i];
        else if (strncmp(argv[i], "--state=", 8) == 0)
            state_dir = argv[i] + 8;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
        else
            rest[n++] = argv[i];
    rest[n] = NULL;
    if (n == 0) {
        help(stderr);
        return 2;
    }
    const struct verb *v = find_verb(rest[0]);
    if (!v) {
        fail("no verb \"%s\"; see nvsim --help", rest[0]);
        return 2;
    }
    if (!state_dir || !*state_dir) {
        fail("which host? Give --state DIR or set NVSIM_STATE");
        return 2;
    }
    if (v->run == verb_create)
        return v->run(n - 1, rest + 1);
    st = state_open(state_dir);
    if (!st)
        return fail("%s: no simulated host there (or one of another version); make one with nvsim create", state_dir);
    if (v->run == verb_env || v->run == verb_watch)
        return v->run(n - 1, rest + 1);
    state_lock(st);
    clients_reap(st, 1);
    physics_advance(st);
    int rc = v->run(n - 1, rest + 1);
    state_unlock(st);
    state_wake(st);
    if (fflush(stdout) != 0)
        return 1;
    return rc;
}
