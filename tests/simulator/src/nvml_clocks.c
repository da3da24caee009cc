/* Clocks and their ladders. */
#include "call.h"

static unsigned current_mhz(const struct gpu *g, unsigned type)
{
    switch (type) {
    case CLOCK_MEM: return g->mem_mhz;
    case CLOCK_VIDEO: return (unsigned)((double)g->board.video_mhz * g->sm_read_mhz / gpu_max_mhz(&g->board));
    default: return g->sm_read_mhz;
    }
}

static unsigned max_mhz(const struct board *b, unsigned type)
{
    return type == CLOCK_MEM ? b->ladder[0].mem_mhz : type == CLOCK_VIDEO ? b->video_mhz : gpu_max_mhz(b);
}

static nvmlReturn_t app_answer(const struct call *c, unsigned type, int by_default, unsigned *out)
{
    const struct gpu *g = c->g;
    enum appclocks a = app_clocks_state(c->s, g);
    if (a != APP_SUPPORTED)
        return a == APP_DEPRECATED ? ERR_DEPRECATED : ERR_NOT_SUPPORTED;
    if (type == CLOCK_VIDEO)
        return ERR_NOT_SUPPORTED;
    if (type == CLOCK_MEM)
        *out = by_default ? g->board.app_mem_mhz : g->set.app_mem_mhz;
    else
        *out = by_default ? g->board.app_gpu_mhz : g->set.app_gpu_mhz;
    return OK;
}

EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned type, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, out);
    REFUSE(c, !out || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    *out = current_mhz(c.g, type);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned type, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, out);
    REFUSE(c, !out || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    *out = max_mhz(&c.g->board, type);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, unsigned type, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, out);
    REFUSE(c, !out || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    return call_leave(&c, app_answer(&c, type, 0, out));
}

EXPORT nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, unsigned type, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, out);
    REFUSE(c, !out || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    return call_leave(&c, app_answer(&c, type, 1, out));
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, unsigned type, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, out);
    REFUSE(c, !out || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    REFUSE(c, type == CLOCK_MEM || type == CLOCK_VIDEO, ERR_NOT_SUPPORTED);
    *out = max_mhz(&c.g->board, type);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned type, unsigned id, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, id, out);
    REFUSE(c, !out || type >= CLOCK_COUNT || id > 3, ERR_INVALID_ARGUMENT);
    if (id == 1 || id == 2)
        return call_leave(&c, app_answer(&c, type, id == 2, out));
    REFUSE(c, id == 3 && (type == CLOCK_MEM || type == CLOCK_VIDEO), ERR_NOT_SUPPORTED);
    *out = id == 0 ? current_mhz(c.g, type) : max_mhz(&c.g->board, type);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned *count, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, count, out);
    const struct board *b = &c.g->board;
    REFUSE(c, !count, ERR_INVALID_ARGUMENT);
    unsigned room = *count;
    *count = b->rungs;
    REFUSE(c, room < b->rungs, ERR_INSUFFICIENT_SIZE);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    for (unsigned i = 0; i < b->rungs; i++)
        out[i] = b->ladder[i].mem_mhz;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned mem, unsigned *count, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, mem, count, out);
    REFUSE(c, !count, ERR_INVALID_ARGUMENT);
    const struct ladder *l = ladder_of(&c.g->board, mem);
    REFUSE(c, !l, ERR_NOT_FOUND);
    unsigned room = *count;
    *count = ladder_count(l);
    REFUSE(c, room < *count, ERR_INSUFFICIENT_SIZE);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    for (unsigned i = 0; i < *count; i++)
        out[i] = ladder_at(l, i);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetAutoBoostedClocksEnabled(nvmlDevice_t device, unsigned *a, unsigned *b)
{
    (void)a, (void)b;
    DEVICE_CALL(c, device);
    ANSWERED(c, a, b);
    return call_leave(&c, ERR_NOT_SUPPORTED);
}

EXPORT nvmlReturn_t nvmlDeviceGetMinMaxClockOfPState(nvmlDevice_t device, unsigned type, unsigned pstate,
                                                      unsigned *min, unsigned *max)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, pstate, min, max);
    (void)pstate;
    REFUSE(c, !min || !max || type >= CLOCK_COUNT, ERR_INVALID_ARGUMENT);
    REFUSE(c, type == CLOCK_VIDEO, ERR_NOT_SUPPORTED);
    const struct board *b = &c.g->board;
    *max = max_mhz(b, type);
    *min = type == CLOCK_MEM ? b->ladder[b->rungs - 1].mem_mhz : (unsigned)b->ladder[0].low_mhz;
    return call_leave(&c, OK);
}

/* One offset, of the graphics clock, for all performance states; its range is assumed. A real H100 answers for the
 * memory clock too, and 0 to both ranges: it has none to give. */
struct clock_offset { unsigned version, type, pstate; int offset_mhz, min_mhz, max_mhz; };

EXPORT nvmlReturn_t nvmlDeviceGetClockOffsets(nvmlDevice_t device, struct clock_offset *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out || out->type >= CLOCK_COUNT || out->pstate > 15, ERR_INVALID_ARGUMENT);
    REFUSE(c, out->version != 0x01000018u, ERR_ARGUMENT_VERSION_MISMATCH);
    REFUSE(c, out->type != CLOCK_GRAPHICS && out->type != CLOCK_MEM, ERR_NOT_SUPPORTED);
    out->offset_mhz = out->type == CLOCK_MEM ? 0 : c.g->offset_mhz;
    out->min_mhz = out->type == CLOCK_MEM ? 0 : -1000;
    out->max_mhz = out->type == CLOCK_MEM ? 0 : 1000;
    return call_leave(&c, OK);
}

GETTER(nvmlDeviceGetGpcClkVfOffset, int, c.g->offset_mhz)
