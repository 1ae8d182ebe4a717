/*
 * The functions that the scheduler gives to guests: import module `sched`, described in docs/host.md.
 *
 * Needs nothing but <stdint.h>, so it serves freestanding C and C++ as well as wasi-libc. The guest has to export its memory as `memory`,
 * which is what linkers do unless told otherwise.
 *
 * A result below 0 is one of the codes of `enum sched_error`. No argument, however wrong, traps.
 */
#ifndef SCHED_H
#define SCHED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCHED_IMPORT(name) __attribute__((import_module("sched"), import_name(name)))

/* What can be wrong with a call. */
enum sched_error {
    SCHED_CLOSED = -1,      /* the channel is closed, and there is nothing left in it to receive */
    SCHED_WOULD_BLOCK = -2, /* nothing to receive, or no room to send, without waiting */
    SCHED_BAD_HANDLE = -3,  /* no such handle, or one of another kind */
    SCHED_BAD_ADDRESS = -4, /* the bytes are not all in memory */
    SCHED_TOO_LARGE = -5,   /* a name, a message or a capacity above its limit; a message above the room for it */
    SCHED_NO_ROOM = -6,     /* a limit on how much there may be at a time is reached */
    SCHED_NOT_ALLOWED = -7, /* nobody has allowed to spawn that */
    SCHED_INVALID = -8      /* a name that is empty or no UTF-8, a capacity below 1, arguments that do not fit */
};

/* How a task ended. */
enum sched_outcome {
    SCHED_RETURNED = 0,
    SCHED_EXITED = 1,
    SCHED_TRAPPED = 2,
    SCHED_OUT_OF_FUEL = 3,
    SCHED_KILLED = 4,
    SCHED_STOPPED = 5,
    SCHED_DEADLOCKED = 6,
    SCHED_FAILED = 7,
    SCHED_ENDED_OTHERWISE = 8
};

/* The type of a value, as the binary format has it. */
enum sched_type {
    SCHED_NONE = 0,
    SCHED_I32 = 0x7f,
    SCHED_I64 = 0x7e,
    SCHED_F32 = 0x7d,
    SCHED_F64 = 0x7c,
    SCHED_V128 = 0x7b
};

/* What `sched_join` writes: 32 bytes. */
struct sched_ending {
    int32_t outcome;   /* enum sched_outcome */
    int32_t exit_code; /* of a task that exited, else 0 */
    int32_t values;    /* how many values the task returned */
    int32_t type;      /* of the first value: enum sched_type */
    uint64_t value[2]; /* the first value's bits; an i32 is sign-extended; the second word is for vectors */
};

/* Gives the rest of the turn away. */
SCHED_IMPORT("yield") void sched_yield_now(void);
/* Sleeps for so many nanoseconds; 0 or less is a yield. */
SCHED_IMPORT("sleep_ns") void sched_sleep_ns(int64_t nanoseconds);
/* The scheduler's clock, in nanoseconds since some moment. It never goes back. */
SCHED_IMPORT("now_ns") int64_t sched_now_ns(void);
/* The task's place in the order of spawning, from 0. */
SCHED_IMPORT("task_id") int64_t sched_task_id(void);
/* Fuel left of the task's budget; -1 if it has none. */
SCHED_IMPORT("fuel_left") int64_t sched_fuel_left(void);
/* Writes a line to the scheduler's log. Returns how many bytes it took, at most 4096, or an error. */
SCHED_IMPORT("log") int32_t sched_log(const char *text, uint32_t length);

/* Opens the channel of that name, for sending and receiving; makes it, with room for so many messages, if there is none. Returns a handle. */
SCHED_IMPORT("open") int32_t sched_open(const char *name, uint32_t length, int32_t capacity);
/* Sends a message; waits for room. Returns 0, or an error. */
SCHED_IMPORT("send") int32_t sched_send(int32_t channel, const void *message, uint32_t length);
/* Receives a message; waits for one. Returns its length, or an error; one that is too large for the room stays in the channel. */
SCHED_IMPORT("recv") int32_t sched_recv(int32_t channel, void *room, uint32_t capacity);
/* The same two, without waiting. */
SCHED_IMPORT("try_send") int32_t sched_try_send(int32_t channel, const void *message, uint32_t length);
SCHED_IMPORT("try_recv") int32_t sched_try_recv(int32_t channel, void *room, uint32_t capacity);
/* Closes the channel for everybody, or lets go of a task; gives the handle back. What is in the channel can still be received. Returns 0, or an error. */
SCHED_IMPORT("close") int32_t sched_close(int32_t handle);

/* Spawns what the host knows by that name, with `count` arguments of one word each. Returns a handle, or an error. */
SCHED_IMPORT("spawn") int32_t sched_spawn(const char *name, uint32_t length, const uint64_t *arguments, uint32_t count);
/* Waits for a task's end, writes how it ended, and gives the handle back. Returns 0, or an error. */
SCHED_IMPORT("join") int32_t sched_join(int32_t task, struct sched_ending *ending);

#undef SCHED_IMPORT

#ifdef __cplusplus
}
#endif

#endif
