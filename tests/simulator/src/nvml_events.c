/* Event sets of a GPU and of the system. A waiter holds no lock while it waits. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "call.h"

#define SET_MAGIC 0x65766e74u

struct event_set {
    unsigned magic, epoch;
    int system;
    uint64_t cursor;
    unsigned long long types[MAX_GPUS], system_types;
};

static int set_valid(const struct event_set *e, int system)
{
    return e && e->magic == SET_MAGIC && e->system == system;
}

static struct event_set *set_new(struct state *s, int system)
{
    struct event_set *e = calloc(1, sizeof *e);
    if (e) {
        e->magic = SET_MAGIC;
        e->epoch = lib_epoch();
        e->system = system;
        e->cursor = system ? s->n_system_events : s->n_events;
    }
    return e;
}

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out)
{
    SYSTEM_CALL(c);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    *out = set_new(c.s, 0);
    return call_leave(&c, *out ? OK : ERR_MEMORY);
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set)
{
    DEVICE_CALL(c, device);
    struct event_set *e = set;
    REFUSE(c, !set_valid(e, 0), ERR_INVALID_ARGUMENT);
    REFUSE(c, types & ~c.g->board.supported_events, ERR_NOT_SUPPORTED);
    e->types[c.slot] |= types;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    struct event_set *e = set;
    if (!lib_ready())
        return ERR_UNINITIALIZED;
    if (!set_valid(e, 0))
        return ERR_INVALID_ARGUMENT;
    e->magic = 0;
    free(e);
    return OK;
}

/* Takes the next event of the set out of the ring. */
static int take(struct state *s, struct event_set *e, nvmlEventData_t *out)
{
    if (s->n_events > MAX_EVENTS && e->cursor < s->n_events - MAX_EVENTS)
        e->cursor = s->n_events - MAX_EVENTS;   /* overrun: the oldest are gone */
    while (e->cursor < s->n_events) {
        const struct event *ev = &s->events[e->cursor++ % MAX_EVENTS];
        if (!(e->types[ev->gpu] & ev->type))
            continue;
        memset(out, 0, sizeof *out);
        out->device = slot_handle(ev->gpu);
        out->eventType = ev->type;
        out->eventData = ev->data;
        out->gpuInstanceId = out->computeInstanceId = 0xffffffffu;
        return 1;
    }
    return 0;
}

static int any_lost(struct state *s, const struct event_set *e)
{
    for (int i = 0; i < MAX_GPUS; i++)
        if (e->types[i] && attached_gone(s, i))
            return 1;
    return 0;
}

/* Clock events come from GPUs that move; somebody has to look at them, as the interrupt does in real life. */
static int must_poll(const struct state *s, const struct event_set *e)
{
    for (int i = 0; i < s->n_slots; i++)
        if (e->types[i] & (EVENT_CLOCK | EVENT_PSTATE) && !s->gpus[i].steady)
            return 1;
    return 0;
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned timeout_ms)
{
    static int counter = -1;
    struct event_set *e = set;
    if (!lib_ready())
        return ERR_UNINITIALIZED;
    if (!set_valid(e, 0) || !out)
        return ERR_INVALID_ARGUMENT;
    struct state *s = lib_state;
    nvmlReturn_t answer = call_faults("nvmlEventSetWait_v2", s, ALL_GPUS);
    if (answer != OK)
        return answer;
    int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * 1000000;
    for (int first = 1;; first = 0) {
        uint32_t seen = __atomic_load_n(&s->event_word, __ATOMIC_SEQ_CST);
        if (!lib_ready() || e->epoch != lib_epoch())
            return ERR_UNINITIALIZED;
        state_lock(s);
        if (first)
            call_count(s, "nvmlEventSetWait_v2", &counter);
        physics_advance(s);
        int got = take(s, e, out), lost = !got && any_lost(s, e), poll = must_poll(s, e);
        state_unlock(s);
        if (got || lost)
            return got ? OK : ERR_GPU_IS_LOST;
        int64_t left = end - now_ns(CLOCK_MONOTONIC), most = poll ? 20000000 : 1000000000;
        if (left <= 0)
            return ERR_TIMEOUT;
        state_wait(s, seen, left < most ? left : most);
    }
}

/* --- bind and unbind of GPUs --- */

EXPORT nvmlReturn_t nvmlSystemEventSetCreate(nvmlSystemEventSetRequest_t *r)
{
    SYSTEM_CALL(c);
    REFUSE(c, !r, ERR_INVALID_ARGUMENT);
    REFUSE(c, r->version != 0x01000010u, ERR_ARGUMENT_VERSION_MISMATCH);
    r->set = set_new(c.s, 1);
    return call_leave(&c, r->set ? OK : ERR_MEMORY);
}

EXPORT nvmlReturn_t nvmlSystemRegisterEvents(nvmlSystemRegisterRequest_t *r)
{
    SYSTEM_CALL(c);
    REFUSE(c, !r || !set_valid(r->set, 1), ERR_INVALID_ARGUMENT);
    REFUSE(c, r->version != 0x01000018u, ERR_ARGUMENT_VERSION_MISMATCH);
    ((struct event_set *)r->set)->system_types |= r->eventTypes;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlSystemEventSetFree(nvmlSystemEventSetRequest_t *r)
{
    SYSTEM_CALL(c);
    REFUSE(c, !r || !set_valid(r->set, 1), ERR_INVALID_ARGUMENT);
    ((struct event_set *)r->set)->magic = 0;
    free(r->set);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlSystemEventSetWait(nvmlSystemEventSetWaitRequest_t *r)
{
    if (!lib_ready())
        return ERR_UNINITIALIZED;
    if (!r || !set_valid(r->set, 1) || !r->data || !r->dataSize)
        return ERR_INVALID_ARGUMENT;
    struct state *s = lib_state;
    struct event_set *e = r->set;
    int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)r->timeoutms * 1000000;
    for (;;) {
        uint32_t seen = __atomic_load_n(&s->event_word, __ATOMIC_SEQ_CST);
        r->numEvent = 0;
        if (!lib_ready() || e->epoch != lib_epoch())
            return ERR_UNINITIALIZED;
        state_lock(s);
        for (; e->cursor < s->n_system_events && r->numEvent < r->dataSize; e->cursor++) {
            const struct event *ev = &s->system_events[e->cursor % 64];
            if (ev->type & e->system_types)
                r->data[r->numEvent++] = (nvmlSystemEventData_t){ev->type, (unsigned)ev->gpu};
        }
        state_unlock(s);
        if (r->numEvent)
            return OK;
        int64_t left = end - now_ns(CLOCK_MONOTONIC);
        if (left <= 0)
            return ERR_TIMEOUT;
        state_wait(s, seen, left < 1000000000 ? left : 1000000000);
    }
}
