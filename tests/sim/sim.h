/* SPDX-License-Identifier: Apache-2.0
 *
 * sim - what the files of the simulator share: a run, its steps, and the helpers by which an
 * operation compares an answer.
 *
 *     sim.c           scripts, runs, shrinking
 *     sim_doors.c     uploads, pushes, reads and deletions of one thing
 *     sim_delete.c    plans, receipts, undo
 *     sim_protect.c   rules and holds
 *     sim_check.c     comparing, crashes, settling, and properties of whole rounds
 */
#ifndef EBB_SIM_H
#define EBB_SIM_H

#include "base/fault.h"
#include "model.h"

enum { SLOTS = 6, PLANS = 3 };

/* clang-format off: it never comes to rest here */
#define OPS(X)                                                                                     \
    X(START, 6)                                                                                    \
    X(WRITE, 5)                                                                                    \
    X(FINISH, 12)                                                                                  \
    X(CANCEL, 1)                                                                                   \
    X(UPLOAD, 14)                                                                                  \
    X(MOUNT, 6)                                                                                    \
    X(HEAD_BLOB, 8)                                                                                \
    X(GET_BLOB, 3)                                                                                 \
    X(DAMAGE, 1)                                                                                   \
    X(PUSH, 16)                                                                                    \
    X(TAG, 24)                                                                                     \
    X(HEAD_MANIFEST, 5)                                                                            \
    X(GET_MANIFEST, 3)                                                                             \
    X(UNTAG, 4)                                                                                    \
    X(DELETE_MANIFEST, 4)                                                                          \
    X(DELETE_BLOB, 3)                                                                              \
    X(PLAN, 10)                                                                                    \
    X(APPLY, 10)                                                                                   \
    X(STEP, 5)                                                                                     \
    X(DROP_PLAN, 1)                                                                                \
    X(UNDO, 8)                                                                                     \
    X(RESTORE, 3)                                                                                  \
    X(RULE, 4)                                                                                     \
    X(HOLD, 4)                                                                                     \
    X(RECLAIM, 16)                                                                                 \
    X(TIME, 12)
/* clang-format on */

enum op {
#define X(name, weight) OP_##name,
    OPS(X)
#undef X
        OP_CRASH,
    OP_SETTLE,
    OP_FREED,  /* settle, plan, apply, settle: the bytes are those told */
    OP_AS_WAS, /* plan, apply, undo: every answer is as before */
    OP_KINDS
};

struct step {
    enum op op;
    int repo, other, slot, blob, manifest, tag;
    unsigned how;
    uint64_t pick;
    unsigned fault; /* this SQL step fails; 0: none */
    bool left_out;
};

/* An upload as its client knows it. */
struct slot {
    bool open;
    bool wrote; /* something may lie under the name */
    char name[33];
    int repo, blob;
    int64_t due_at;
};

struct sim {
    struct world w;
    struct blob_store *failing; /* around w.mem; NULL: none */
    struct universe u;
    struct model m;
    struct slot slots[SLOTS];
    struct model_plan plans[PLANS];
    uint64_t rng; /* for crashes */
    char why[ERR_TEXT_MAX + 200];
};

/* What all runs did so far: a simulation that does nothing finds nothing. */
struct sim_done {
    uint64_t plans, applied, receipts_in_steps, went, skipped, undone, back, not_back, denied;
};
extern struct sim_done sim_done;

extern char sim_path[128]; /* of the database: a file, since a crash opens it again */

/* Sets s->why; false. */
bool sim_wrong(struct sim *s, const char *what);
/* Compares an answer. A call in which a failure was injected may fail instead, without trace. */
bool sim_answered(struct sim *s, enum st got, enum st want, bool *done);

/* Each gives false, with s->why, when something is wrong. */
bool sim_door(struct sim *s, const struct step *t);
bool sim_delete(struct sim *s, const struct step *t);
bool sim_protect(struct sim *s, const struct step *t);
bool sim_check(struct sim *s, const struct step *t);

/* sim_check.c */
bool sim_compare(struct sim *s, bool reclaimed);
bool sim_sound(struct sim *s);
bool sim_settle(struct sim *s);
bool sim_chain(struct sim *s);   /* of receipts */
bool sim_restart(struct sim *s); /* a crash, not compared */

/* sim_protect.c */
bool sim_expire_holds(struct sim *s);

/* sim_delete.c */
bool sim_plan(struct sim *s, const struct step *t, struct model_plan *out);
bool sim_apply(struct sim *s, struct model_plan *p);
bool sim_step(struct sim *s, bool *more); /* of an open receipt */
bool sim_finish(struct sim *s);           /* all of them */
bool sim_undo(struct sim *s, const struct undo_wish *wish);
/* A deletion of one thing was answered: its receipt is read. */
bool sim_note_receipt(struct sim *s);

#endif
