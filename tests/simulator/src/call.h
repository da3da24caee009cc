/* What every entry point of the library does first and last. */
#ifndef NVSIM_CALL_H
#define NVSIM_CALL_H
#include "sim.h"

struct call {
    struct state *s;
    struct gpu *g;
    int slot;
    struct caller who;
};

extern struct state *lib_state;

nvmlReturn_t call_enter(struct call *c, const char *name, int *counter, int device, nvmlDevice_t handle);
nvmlReturn_t call_leave(struct call *c, nvmlReturn_t r);
nvmlReturn_t call_faults(const char *name, struct state *s, int slot);
void call_cost(struct state *s, const char *name, unsigned field);
int answered(struct call *c, const char *name, nvmlReturn_t *r, ...);
int answered_field(struct call *c, nvmlFieldValue_t *v);
void answers_forget(void);
void spin_us(unsigned us);
void call_count(struct state *s, const char *name, int *counter);
int handle_slot(nvmlDevice_t handle);
nvmlDevice_t slot_handle(int slot);
int attached_gone(struct state *s, int slot);
int lib_ready(void);
unsigned lib_epoch(void);
int lib_order(int index);
int lib_count(void);
int has_admin(void);

/* Opens a call without a device, or with one; returns from the caller when it may not go on. */
#define SYSTEM_CALL(c)                                                            \
    static int counter_ = -1;                                                     \
    struct call c;                                                                \
    {                                                                             \
        nvmlReturn_t r_ = call_enter(&c, __func__, &counter_, 0, NULL);           \
        if (r_ != OK)                                                             \
            return r_;                                                            \
    }
#define DEVICE_CALL(c, handle)                                                    \
    static int counter_ = -1;                                                     \
    struct call c;                                                                \
    {                                                                             \
        nvmlReturn_t r_ = call_enter(&c, __func__, &counter_, 1, handle);         \
        if (r_ != OK)                                                             \
            return r_;                                                            \
    }
/* Gives what a real board was recorded to answer, or what `nvsim override` put in its place; else the call goes on. All
 * arguments after the device, in order. */
#define ANSWERED(c, ...)                                                          \
    {                                                                             \
        nvmlReturn_t r_;                                                          \
        if (answered(&c, __func__, &r_, __VA_ARGS__))                             \
            return call_leave(&c, r_);                                            \
    }
/* Refuses within an open call. */
#define REFUSE(c, when, code)                                                     \
    if (when)                                                                     \
        return call_leave(&c, code)

/* A getter of one number. */
#define GETTER(name, type, expression)                                            \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, type *out)                      \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, out);                                                         \
        REFUSE(c, !out, ERR_INVALID_ARGUMENT);                                    \
        *out = (type)(expression);                                                \
        return call_leave(&c, OK);                                                \
    }
#define GETTER_IF(name, type, has, expression)                                    \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, type *out)                      \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, out);                                                         \
        REFUSE(c, !out, ERR_INVALID_ARGUMENT);                                    \
        REFUSE(c, !(has), ERR_NOT_SUPPORTED);                                     \
        *out = (type)(expression);                                                \
        return call_leave(&c, OK);                                                \
    }
#define ABSENT_ON_BOARDS(name)                                                    \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, uintptr_t a, uintptr_t b, uintptr_t d, uintptr_t e) \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, a, b, d, e);                                                  \
        return call_leave(&c, ERR_NOT_SUPPORTED);                                 \
    }
#endif
