/* Clock ladders: the rungs a board has, and what a value between two of them becomes. */
#include <math.h>
#include "sim.h"

unsigned ladder_count(const struct ladder *l)
{
    return (unsigned)((l->high_mhz - l->low_mhz) / l->step_mhz + 1e-6) + 1;
}

/* i counts from the top. Half megahertz are cut off, as the driver reports them. */
unsigned ladder_at(const struct ladder *l, unsigned i)
{
    return (unsigned)(l->high_mhz - i * l->step_mhz + 1e-6);
}

const struct ladder *ladder_of(const struct board *b, unsigned mem_mhz)
{
    for (unsigned i = 0; i < b->rungs; i++)
        if (b->ladder[i].mem_mhz == mem_mhz)
            return &b->ladder[i];
    return NULL;
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

unsigned ladder_nearest(const struct ladder *l, double mhz)
{
    double steps = floor((clamp(mhz, l->low_mhz, l->high_mhz) - l->low_mhz) / l->step_mhz + 0.5);
    return (unsigned)(l->low_mhz + steps * l->step_mhz + 1e-6);
}

unsigned ladder_floor(const struct ladder *l, double mhz)
{
    if (mhz < l->low_mhz)
        return (unsigned)mhz;   /* idle clocks lie below the ladder */
    double steps = floor((clamp(mhz, l->low_mhz, l->high_mhz) - l->low_mhz + 1e-6) / l->step_mhz);
    return (unsigned)(l->low_mhz + steps * l->step_mhz + 1e-6);
}

/* Memory clocks were seen to snap mostly up (facts: nvml.md). Rungs are stored highest first. */
unsigned mem_snap_up(const struct board *b, unsigned mhz)
{
    unsigned best = b->ladder[0].mem_mhz;
    for (unsigned i = 0; i < b->rungs; i++)
        if (b->ladder[i].mem_mhz >= mhz)
            best = b->ladder[i].mem_mhz;
    return best;
}

unsigned gpu_max_mhz(const struct board *b)
{
    double most = 0;
    for (unsigned i = 0; i < b->rungs; i++)
        most = b->ladder[i].high_mhz > most ? b->ladder[i].high_mhz : most;
    return (unsigned)(most + 1e-6);
}

/* Clock offsets move the ladders of the upper rungs and what a load boosts to; those of the low memory clocks stay, as an
 * RTX 2080's and a 4090's do (facts seen in public dumps). */
void ladder_shift(struct gpu *g, int offset_mhz)
{
    int by = offset_mhz - g->offset_mhz;
    for (unsigned i = 0; i < g->board.rungs; i++)
        if (g->board.ladder[i].mem_mhz > 1000) {
            g->board.ladder[i].low_mhz += by;
            g->board.ladder[i].high_mhz += by;
        }
    g->board.boost_mhz = (unsigned)((int)g->board.boost_mhz + by);
    g->offset_mhz = offset_mhz;
}
