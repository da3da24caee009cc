/* Event rings. Every event set reads them with a cursor of its own. */
#include "sim.h"

void event_push(struct state *s, int slot, unsigned long long type, unsigned long long data)
{
    struct event *e = &s->events[s->n_events % MAX_EVENTS];
    e->seq = s->n_events++;
    e->gpu = slot;
    e->type = type;
    e->data = data;
    if (type != EVENT_CLOCK && type != EVENT_PSTATE)
        state_wake(s);      /* clock events are found by waiters that look at a loaded GPU anyway */
}

void system_event_push(struct state *s, int slot, unsigned long long type)
{
    struct event *e = &s->system_events[s->n_system_events % 64];
    e->seq = s->n_system_events++;
    e->gpu = slot;
    e->type = type;
    state_wake(s);
}
