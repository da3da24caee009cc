/* Attaching to the driver, and the guard around every call: faults, counting, handles, the locks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "call.h"

EXPORT const char nvsimMarker[] = "gpu-tuned simulated NVML driver 1";

struct state *lib_state;
static pthread_mutex_t lib_lock = PTHREAD_MUTEX_INITIALIZER;    /* NVML's calls of one process run one by one */
static struct client *self;
static int self_pid, references, attached, fds[MAX_GPUS + 2], n_fds, order[MAX_GPUS], n_order;
static unsigned epoch, load_seq;
static ino_t state_inode;

int has_admin(void)
{
    const char *played = getenv("NVSIM_CAP_SYS_ADMIN");
    if (played && *played)
        return *played == '1';
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return 0;
    return data[0].effective >> CAP_SYS_ADMIN & 1;
}

int lib_ready(void)
{
    return references > 0 && self_pid == getpid();
}

unsigned lib_epoch(void)
{
    return epoch;
}

int lib_count(void)
{
    return n_order;
}

int lib_order(int index)
{
    return order[index];
}

/* Handles carry the initialisation they belong to: one kept over a shutdown is found out. */
nvmlDevice_t slot_handle(int slot)
{
    return (nvmlDevice_t)(uintptr_t)(0x7e0000000000ull | (unsigned long long)(epoch & 0xffff) << 16 | (unsigned)(slot + 1) << 4);
}

int handle_slot(nvmlDevice_t handle)
{
    for (int i = 0; i < n_order; i++)
        if (slot_handle(order[i]) == handle)
            return order[i];
    return -1;
}

int attached_gone(struct state *s, int slot)
{
    const struct gpu *g = &s->gpus[slot];
    return !s->loaded || s->load_seq != load_seq || !g->present || g->lost || !self
        || self->pid != self_pid || self->generation[slot] != g->generation;
}

void spin_us(unsigned us)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)us * 1000;
    if (us > 500)
        sleep_until_ns(end - 100000);
    while (now_ns(CLOCK_MONOTONIC) < end)
        ;
}

/* A fault for so many calls takes itself away with the last of them. */
static int take_turn(struct fault *f)
{
    unsigned left = __atomic_load_n(&f->times, __ATOMIC_ACQUIRE);
    while (left && !__atomic_compare_exchange_n(&f->times, &left, left - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
    if (left == 1)
        f->answer = OK;
    return left > 0;
}

nvmlReturn_t call_faults(const char *name, struct state *s, int slot)
{
    nvmlReturn_t answer = OK;
    for (int i = 0; __atomic_load_n(&s->n_faults, __ATOMIC_ACQUIRE) && i < MAX_FAULTS; i++) {
        struct fault *f = &s->faults[i];
        if (!f->call[0] || (strcmp(f->call, name) != 0 && strcmp(f->call, "all") != 0)
            || (f->slot != ALL_GPUS && f->slot != slot))
            continue;
        if (f->slow_us)
            sleep_until_ns(now_ns(CLOCK_MONOTONIC) + (int64_t)f->slow_us * 1000);
        /* Hangs end when their time is up or when they are taken back, never by a signal. */
        while (__atomic_load_n(&f->until_ns, __ATOMIC_ACQUIRE) > now_ns(CLOCK_MONOTONIC))
            sleep_until_ns(now_ns(CLOCK_MONOTONIC) + 5000000);
        nvmlReturn_t told = f->answer;
        if (told && (!f->times || take_turn(f)))
            answer = told;
    }
    return answer;
}

void call_cost(struct state *s, const char *name, unsigned field)
{
    if (!s->costs_on)
        return;
    for (int i = 0; i < s->n_costs; i++)
        if (name ? strcmp(s->costs[i].name, name) == 0 : s->costs[i].field == field) {
            spin_us(s->costs[i].us);
            return;
        }
}

void call_count(struct state *s, const char *name, int *counter)
{
    if (*counter < 0 || *counter >= s->n_calls || strcmp(s->calls[*counter].name, name) != 0) {
        for (*counter = 0; *counter < s->n_calls; ++*counter)
            if (strcmp(s->calls[*counter].name, name) == 0)
                break;
        if (*counter == MAX_CALLS)
            return;
        if (*counter == s->n_calls)
            snprintf(s->calls[s->n_calls++].name, CALL_NAME, "%s", name);
    }
    s->calls[*counter].count++;
}

nvmlReturn_t call_enter(struct call *c, const char *name, int *counter, int device, nvmlDevice_t handle)
{
    pthread_mutex_lock(&lib_lock);
    if (!lib_ready()) {
        pthread_mutex_unlock(&lib_lock);
        return ERR_UNINITIALIZED;
    }
    memset(c, 0, sizeof *c);
    c->s = lib_state;
    c->who = (struct caller){self_pid, 0, 0};
    int slot = device ? handle_slot(handle) : -1;
    c->slot = device ? slot : THE_HOST;
    nvmlReturn_t answer = call_faults(name, c->s, slot);
    if (slot < 0 || !c->s->gpus[slot].board.recorded)    /* a recorded board's answers bring their own */
        call_cost(c->s, name, 0);
    state_lock(c->s);
    call_count(c->s, name, counter);
    clients_reap(c->s, 0);
    physics_advance(c->s);
    if (answer != OK)
        return call_leave(c, answer);
    if (!device)
        return OK;
    if (slot < 0)
        return call_leave(c, ERR_INVALID_ARGUMENT);
    c->g = &c->s->gpus[slot];
    return attached_gone(c->s, slot) ? call_leave(c, ERR_GPU_IS_LOST) : OK;
}

nvmlReturn_t call_leave(struct call *c, nvmlReturn_t r)
{
    state_unlock(c->s);
    pthread_mutex_unlock(&lib_lock);
    return r;
}

static int open_device(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/root/dev/%s", nvsim_dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        fds[n_fds++] = fd;
    return fd >= 0;
}

/* As the driver's library does: every board's device file is opened, and stays open until the last shutdown. */
static nvmlReturn_t attach(unsigned flags)
{
    char name[32], path[PATH_MAX];
    struct state *s = lib_state;
    snprintf(path, sizeof path, "%s/root/proc/driver/nvidia/version", nvsim_dir);
    if (!s->loaded || (!s->wsl && access(path, R_OK) != 0) || !open_device(s->wsl ? "dxg" : "nvidiactl"))
        return ERR_DRIVER_NOT_LOADED;
    if (s->mismatch)
        return ERR_LIB_RM_VERSION_MISMATCH;
    n_order = 0;
    load_seq = s->load_seq;
    if (flags & INIT_FLAG_NO_ATTACH)
        return OK;
    self = client_attach(s, getpid());
    if (!self)
        return ERR_MEMORY;
    for (int i = 0; i < s->n_order; i++) {
        const struct gpu *g = &s->gpus[s->order[i]];
        snprintf(name, sizeof name, "nvidia%u", g->minor);
        if (g->present && (s->wsl || open_device(name)))
            order[n_order++] = s->order[i];
    }
    attached = 1;
    runtime_power(s);
    return OK;
}

static void close_all(void)
{
    while (n_fds)
        close(fds[--n_fds]);
}

/* Maps the host's state; again only where the host was created anew since. */
static int find_state(void)
{
    const char *dir = getenv("NVSIM_STATE");
    char path[PATH_MAX];
    struct stat st;
    if (!dir || !*dir)
        return 0;
    snprintf(path, sizeof path, "%s/state", dir);
    if (stat(path, &st) != 0)
        return 0;
    if (!lib_state || st.st_ino != state_inode) {
        answers_forget();
        lib_state = state_open(strdup(dir));
        state_inode = st.st_ino;
    }
    return lib_state != NULL;
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags)
{
    static int counter = -1;
    pthread_mutex_lock(&lib_lock);
    if (self_pid != getpid())
        references = 0;     /* a forked child starts afresh */
    if (references == 0 && !find_state()) {
        pthread_mutex_unlock(&lib_lock);
        return ERR_DRIVER_NOT_LOADED;
    }
    nvmlReturn_t r = call_faults("nvmlInitWithFlags", lib_state, ALL_GPUS);
    call_cost(lib_state, "nvmlInitWithFlags", 0);
    if (references == 0 && r == OK) {
        state_lock(lib_state);
        call_count(lib_state, "nvmlInitWithFlags", &counter);
        clients_reap(lib_state, 1);
        physics_advance(lib_state);
        self = NULL;
        attached = 0;
        epoch++;
        r = attach(flags);
        state_unlock(lib_state);
        if (r != OK)
            close_all();
    }
    if (r == OK) {
        references++;
        self_pid = getpid();
    }
    pthread_mutex_unlock(&lib_lock);
    return r;
}

EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

EXPORT nvmlReturn_t nvmlShutdown(void)
{
    static int counter = -1;
    pthread_mutex_lock(&lib_lock);
    if (!lib_ready()) {
        pthread_mutex_unlock(&lib_lock);
        return ERR_UNINITIALIZED;
    }
    call_faults("nvmlShutdown", lib_state, ALL_GPUS);
    if (--references == 0) {
        state_lock(lib_state);
        call_count(lib_state, "nvmlShutdown", &counter);
        physics_advance(lib_state);
        if (attached)
            client_detach(lib_state, self);
        self = NULL;
        state_unlock(lib_state);
        close_all();
        state_wake(lib_state);  /* threads waiting for events return */
    }
    pthread_mutex_unlock(&lib_lock);
    return OK;
}
