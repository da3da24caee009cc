/* State shared by every process that uses the simulated driver, and what is done with it.
 * One memory-mapped file; every field is touched under `lock` unless said otherwise. */
#ifndef NVSIM_SIM_H
#define NVSIM_SIM_H
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include "abi.h"

#define STATE_MAGIC 0x4e565349u
#define STATE_VERSION 3u
#define MAX_GPUS 64
#define MAX_CLIENTS 256
#define MAX_WRITES 16384
#define MAX_EVENTS 4096
#define MAX_FAULTS 32
#define MAX_CALLS 192
#define MAX_MISSING 32
#define MAX_SCRIPT 64
#define MAX_COSTS 96
#define MAX_OVERRIDES 64
#define MAX_FIELD_OVERRIDES 64
#define OVERRIDE_TEXT 512
#define ALL_GPUS (-1)
#define THE_HOST (-1)
#define ALL_FIELDS 0xffffffffu
#define MEM_RUNGS 8
#define POWER_RING 100         /* one second of ticks: the driver's power reading is a mean over it */
#define TICK_NS 10000000ll
#define CALL_NAME 64
#define CORE_COUNTERS 11

struct ladder { unsigned mem_mhz; double low_mhz, high_mhz, step_mhz; };

enum appclocks { APP_NOT_SUPPORTED, APP_SUPPORTED, APP_DEPRECATED };

/* What a board is: read once from boards/NAME.board. */
struct board {
    char id[32], name[96], vbios[32], serial[32], part[32];
    unsigned brand, architecture, cc_major, cc_minor, cores, bus_width;
    unsigned pci_device_id, pci_subsystem_id, pci_class;
    unsigned power_min_mw, power_max_mw, power_default_mw, power_step_mw;
    int power_settable, power_average, energy, ecc, mig, mem_lock, gpu_lock, reported_max_clock;
    enum appclocks app_clocks, app_clocks_r595;
    unsigned app_mem_mhz, app_gpu_mhz;
    unsigned rungs;
    struct ladder ladder[MEM_RUNGS];
    unsigned boost_mhz, base_mhz, video_mhz, idle_mhz, idle_mem_mhz, load_mem_mhz, idle_pstate, load_pstate;
    unsigned idle_reasons, supported_reasons;
    unsigned long long supported_events;
    double idle_w, open_w, load_w, power_exponent, cap_margin;
    double ambient_c, r_fast, tau_fast_s, r_slow, tau_slow_s;
    unsigned t_shutdown, t_slowdown, t_mem_max, t_gpu_max;
    int tlimit, memory_temp, fan;
    unsigned memory_mib, reserved_mib, bar1_mib;
    unsigned pcie_gen, pcie_width, pcie_idle_gen;
    unsigned counters[CORE_COUNTERS + 4], n_counters;
    int recorded;               /* made from what a real board answered: see answers.c */
    nvmlReturn_t otherwise;     /* what calls answer that were not recorded; OK: as this simulator models them */
    char driver[32];            /* of the recording */
};

struct range { unsigned min, max; int set; };

/* What lasts for one initialisation of a GPU and no longer. */
struct settings {
    int persistence;
    unsigned power_mw, compute_mode;
    struct range gpu_lock, mem_lock;
    unsigned app_mem_mhz, app_gpu_mhz;
};

struct script_step { double at_s; double load; int open; };

enum { C_POWER, C_THERMAL, C_SYNC, C_BOARD, C_LOW_UTIL, C_RELIABILITY, C_APP, C_BASE, C_SW_THERMAL, C_HW_THERMAL, C_HW_BRAKE };

struct gpu {
    int present, lost, asleep;
    unsigned generation;        /* grows when handles of attached clients become void */
    unsigned init_seq;          /* grows with each initialisation: settings and counters start anew */
    char uuid[48], pci[20], index_name[8];
    unsigned minor;
    struct board board;
    struct settings set, kept;  /* kept: what stays while the GPU is deaf */
    int deaf, mig_on;
    int touched;                /* since then a recorded board moves by the model, no more as it was recorded */
    unsigned recovery_action;
    /* inputs */
    double load;
    int open;
    unsigned process_pid;
    unsigned mps_pid;   /* a client of MPS beside it; 0: none */
    unsigned forced_reasons;
    unsigned enforced_mw;       /* somebody else's limit (a BMC, a rack's power manager); 0: none */
    unsigned smoothing_mw_s;    /* power smoothing: its ramp; 0: the board has none */
    int offset_mhz;             /* clock offset: the upper rungs' ladders are moved by so much */
    int runtime_auto;           /* runtime power management: asleep while nobody has it open */
    unsigned wakes;
    int forced_temp;            /* -1000: none */
    int forced_pcie_gen, forced_pcie_width;
    unsigned long long replays;
    struct script_step script[MAX_SCRIPT];
    int script_len, script_at;
    double script_start_s;
    /* physics */
    double sm_mhz, power_w, util, cap_for_s, hold_s, t_fast, t_slow, temp_c;
    double ring[POWER_RING], ring_sum;
    int ring_at;
    double low_util_s, busy_s;
    int low_util, capping, steady;
    unsigned sm_read_mhz, mem_mhz, pstate, reasons;
    double cap_key[3], cap_mhz;
    double energy_mj;
    double counter_s[CORE_COUNTERS];
};

struct client { int pid; unsigned long long started; int64_t since_ns; char comm[32]; unsigned generation[MAX_GPUS]; };

struct write_entry {
    int64_t realtime_ns, monotonic_ns;
    int pid, stranger, nargs;
    unsigned args[3];
    char function[CALL_NAME], gpu[48];
    nvmlReturn_t result;
};

struct event { uint64_t seq; int gpu; unsigned long long type, data; };
/* `slot`: one GPU's calls, or ALL_GPUS. `times`: so many calls more are answered so; 0: all. */
struct fault { char call[CALL_NAME]; int slot; int64_t until_ns; unsigned slow_us; nvmlReturn_t answer; unsigned times; };
/* One answer in the words of a recording (answers.c), in place of what the model says. */
struct override { int slot; char call[CALL_NAME], text[OVERRIDE_TEXT]; };
struct field_override { int slot; unsigned field; nvmlReturn_t code; int type; nvmlValue_t value; };
struct call_count { char name[CALL_NAME]; unsigned long long count; };
struct cost { char name[CALL_NAME]; unsigned field; unsigned us; };

struct state {
    uint32_t magic, version, size;
    pthread_mutex_t lock;
    uint32_t event_word;        /* futex: grows whenever a waiter shall look */
    char driver[32], nvml_version[32], boot_id[40];
    int cuda, loaded, mismatch, costs_on;
    int wsl;                    /* a driver that /proc and /sys do not show */
    /* simulated time = base_sim + (monotonic - base_mono) * speed */
    double speed;
    int64_t base_mono_ns, base_sim_ns, advanced_ticks;
    int64_t loaded_sim_ns;
    int64_t asleep_ns;          /* read without the lock by the clock library */
    int64_t settle_until_ns;    /* monotonic; what is set before is lost when it passes */
    unsigned load_seq;
    int n_slots, n_order, order[MAX_GPUS];
    struct gpu gpus[MAX_GPUS];
    struct client clients[MAX_CLIENTS];
    int64_t reaped_ns;
    uint64_t n_writes;
    struct write_entry writes[MAX_WRITES];
    uint64_t n_events, n_system_events;
    struct event events[MAX_EVENTS];
    struct event system_events[64];
    int n_faults;               /* read without the lock: 0 means none */
    struct fault faults[MAX_FAULTS];
    int n_calls;
    struct call_count calls[MAX_CALLS];
    int n_missing;              /* read without the lock by the clock library */
    char missing[MAX_MISSING][CALL_NAME];
    int n_overrides;            /* read without the lock: 0 means none */
    struct override overrides[MAX_OVERRIDES];
    int n_field_overrides;
    struct field_override field_overrides[MAX_FIELD_OVERRIDES];
    int n_costs;
    struct cost costs[MAX_COSTS];
    unsigned uuid_next;
};

/* store.c */
extern const char *nvsim_dir;
struct state *state_open(const char *dir);
struct state *state_create(const char *dir);
void state_lock(struct state *s);
void state_unlock(struct state *s);
void state_wake(struct state *s);
void state_wait(struct state *s, uint32_t seen, int64_t timeout_ns);
int64_t now_ns(int clock);
void sleep_until_ns(int64_t mono);

/* clients.c */
unsigned long long process_started(int pid);
void clients_reap(struct state *s, int always);
int clients_count(struct state *s);
struct client *client_attach(struct state *s, int pid);
void client_detach(struct state *s, struct client *c);
void last_client_left(struct state *s);
void runtime_power(struct state *s);

/* physics.c, power.c */
int64_t sim_now_ns(const struct state *s);
void sim_rebase(struct state *s);
void physics_advance(struct state *s);
void physics_start(struct gpu *g);
double power_at(const struct gpu *g, double mhz);
void physics_unsteady(struct gpu *g);
unsigned enforced_mw(const struct gpu *g);
int counter_slot(const struct gpu *g, unsigned field);

/* ladder.c */
unsigned ladder_count(const struct ladder *l);
unsigned ladder_at(const struct ladder *l, unsigned i);
const struct ladder *ladder_of(const struct board *b, unsigned mem_mhz);
unsigned ladder_nearest(const struct ladder *l, double mhz);
unsigned ladder_floor(const struct ladder *l, double mhz);
unsigned mem_snap_up(const struct board *b, unsigned mhz);
unsigned gpu_max_mhz(const struct board *b);
void ladder_shift(struct gpu *g, int offset_mhz);

/* settings.c */
struct caller { int pid, root, stranger; };
void settings_default(struct state *s, struct gpu *g);
void gpu_initialise(struct state *s, struct gpu *g);
enum appclocks app_clocks_state(const struct state *s, const struct gpu *g);
nvmlReturn_t set_persistence(struct state *, struct gpu *, const struct caller *, unsigned mode);
nvmlReturn_t set_power_limit(struct state *, struct gpu *, const struct caller *, unsigned mw);
nvmlReturn_t set_compute_mode(struct state *, struct gpu *, const struct caller *, unsigned mode);
nvmlReturn_t set_gpu_lock(struct state *, struct gpu *, const struct caller *, unsigned min, unsigned max);
nvmlReturn_t reset_gpu_lock(struct state *, struct gpu *, const struct caller *);
nvmlReturn_t set_mem_lock(struct state *, struct gpu *, const struct caller *, unsigned min, unsigned max);
nvmlReturn_t reset_mem_lock(struct state *, struct gpu *, const struct caller *);
nvmlReturn_t set_app_clocks(struct state *, struct gpu *, const struct caller *, unsigned mem, unsigned gpu_mhz);
nvmlReturn_t reset_app_clocks(struct state *, struct gpu *, const struct caller *);
void log_write(struct state *, const struct gpu *, const struct caller *, const char *fn, int n, const unsigned *args, nvmlReturn_t);
const char *return_name(nvmlReturn_t r);
const char *return_text(nvmlReturn_t r);

/* events.c */
void event_push(struct state *s, int slot, unsigned long long type, unsigned long long data);
void system_event_push(struct state *s, int slot, unsigned long long type);

/* lifecycle.c */
void driver_load(struct state *s);
void driver_unload(struct state *s);
void driver_resume(struct state *s, double seconds, double settle_s);
void settle_check(struct state *s);

/* sysroot.c */
void sysroot_clear(const char *dir);
void sysroot_write(struct state *s, const char *dir);
void sysroot_runtime(const struct gpu *g, const char *dir);

/* board.c */
int board_read(const char *path, struct board *b, char *why, size_t whylen);
int costs_read(struct state *s, const char *path);


/* ages.c: what drivers of which age have */
unsigned function_since(const char *name);
int driver_before(const struct state *s, int major, int minor);

#endif
