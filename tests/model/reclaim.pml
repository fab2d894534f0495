/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim.pml - the protocol by which Ebb gives space back, for an exhaustive search by spin(1).
 * tests/model/run compiles it in several forms and says what each has to show.
 *
 * Two blobs, two repositories, two manifests, three uploads at a time, two collectors, a clock; clients
 * that send any request at any time, for ever. Every order of their steps is searched.
 *
 *   here                what it stands for
 *   ------------------  -----------------------------------------------------------------------------
 *   atomic, d_step      one transaction: db_write() runs one at a time (src/db/db_writer.c). What lies
 *                       between two of them may be cut in two by any step of anybody else
 *   name[b]             blob.name; 0: there is no such row
 *   link[k]             repo_blob: ABSENT, SEEN, or TRASHED (receipt_id is set)
 *   lease[k], due[k]    lease_until and due_at, as what is left of them; NONE: due_at is NULL
 *   man[m], mdue[m]     manifest: ABSENT, LOOSE (due_at), KEPT (tagged), TRASHED (receipt_id, due_at)
 *   was_kept[m]         the tag in the receipt of what is in the trash
 *   uploads, doomed     rows of upload and of doomed, by the names in them
 *   has                 files of the store, by their names
 *   held[c]             a name that collector c read from doomed; a crash forgets it
 *
 *   start               registry_start_upload(), blob_writer_*(): the row first, then the bytes
 *   finish              registry_finish_upload(): uploads_end(), blobs_arrive(), blobs_link()
 *   link_blob           blobs_link()
 *   head                registry_find_blob(), and where registry_blob_wants_lease() says so,
 *                       registry_lease_blob(). The second looks for itself, so the two are either the
 *                       read alone or the write alone: one step each
 *   mount               registry_mount()
 *   put                 registry_push_manifest(): manifests_put(), tags_set(), manifests_review()
 *   take_back, let_go   blobs_take_back(), blobs_let_go()
 *   trash, untag        deletion_apply() of DELETION_MANIFEST, DELETION_TAG: manifests_trash(),
 *                       manifests_review(). A tag that moves away is the same as one deleted
 *   trash_link          deletion_apply() of DELETION_BLOB: blobs_in_live_use(), blobs_trash_link()
 *   undo, undo_link     what undo has to be: it looks at the rows in its own transaction
 *   review_link         blobs_review_link(), find_use(), drop_blob()
 *   reclaim             manifests_reclaim(): look_at(), remove_manifest()
 *   collector           reclaim_step(): reclaim_rows(), expire_uploads(), remove_names(). The program
 *                       lists what is due in the transaction that removes it; here the list is a step
 *                       before, which allows more and also is what two collectors would need
 *   tick                time passes. All that runs out is a number of ticks that are left, so there
 *                       is no end of time, and any number of steps fits between two ticks
 *
 * A name is taken again here once no row, file or process knows it: nobody can tell it from a fresh
 * one. So a few names are enough for endless uploads. An upload waits when all are known to somebody.
 *
 * Left out: indexes and referrers (tests/sim has them), damage, content inside the database, paused
 * reclaiming, holds.
 *
 * Checked after every step (numbers as in ARCHITECTURE.md):
 *   1  what a visible manifest names is linked, has a row, and its bytes are under the row's name
 *   2  what 201, HEAD 200 or a mount promised is readable until that lease ends: promise[k], which
 *      no step but the clock and an explicit deletion of the blob takes away
 *   4  a file is always named by a row; when all times are over and the collectors find nothing to
 *      do, only what a tag keeps is there. Each look at something due brings that nearer
 *   6  what is in the trash before its time is whole
 */

/* Sizes. LEASE and GRACE are ticks. */
#ifndef PUSHERS
#define PUSHERS 3
#endif
#ifndef COLLECTORS
#define COLLECTORS 2
#endif
#ifndef NAMES
#define NAMES 4
#endif
#ifndef LEASE
#define LEASE 1
#endif
#ifndef GRACE
#define GRACE 1
#endif

/* Links: 0 and 1 are blobs 0 and 1 in repository 0; 2 is blob 0 in repository 1. */
#define BLOBS 2
#define LINKS 3
#define blob_of(k) ((k) & 1)
/* Manifest 0 is in repository 0 and names both blobs. Manifest 1 shares blob 1 with it, or is in the
 * other repository and names blob 0. */
#define MANIFESTS 2
#ifndef SECOND
#define SECOND 1
#endif
#define names(m, k) ((m) == 0 -> (k) < 2 : (k) == SECOND)

#if LEASE > GRACE
#define LONGER LEASE
#else
#define LONGER GRACE
#endif

#define NONE 9

#define ABSENT  0
#define SEEN    1
#define LOOSE   2
#define KEPT    3
#define TRASHED 4

byte name[BLOBS];
byte link[LINKS];
byte lease[LINKS];
byte due[LINKS];
byte promise[LINKS];
byte man[MANIFESTS];
byte mdue[MANIFESTS];
bit was_kept[MANIFESTS];
/* Sets of names: bit n is name n. */
byte has, uploads, doomed;
byte held[COLLECTORS]; /* the name that a collector read from doomed; 0: none */

#define bit_of(n) (1 << (n))
#define is_in(n, set) (((set) >> (n)) & 1)

/* ---- what happened, counted over the whole search; printed at its end ----------------------- */

c_decl {
    enum { EV_MISSING = 0, EV_UNDONE, EV_UNDONE_LOOSE, EV_PUSHED_OUT, EV_LEASED_AGAIN, EV_NOT_DUE, EV_CRASHED_BEFORE,
           EV_CRASHED_BETWEEN, EV_DOUBLE, EV_HEAD_USED, EV_HEAD_LEASED, EV_MOUNTED, EV_LINK_UNDONE,
           EV_SHARED, EV_EXPIRED, EV_GONE_ALREADY, EV_EMPTY, EV_LAST };
    extern unsigned long events[];
}
c_code {
    unsigned long events[EV_LAST];
    static const char *const event_names[] = {
        "a manifest was refused because a blob was missing", "undo of a tagged manifest",
        "undo of an untagged manifest", "push out of the trash",
        "a manifest went and its blob stayed, leased", "listed as due and then not due any more",
        "crash between the commit and the unlink", "crash between the unlink and the drop",
        "upload of what was there already", "HEAD of a used blob", "HEAD that renewed a lease",
        "mount", "undo of a deleted blob", "a blob was due and a manifest used it",
        "an upload expired", "unlink of what was gone already",
        "everything was gone at the end" };
    __attribute__((destructor)) static void tell(void)
    {
        for (int i = 0; i < EV_LAST; i++)
            printf("event %lu %s\n", events[i], event_names[i]);
    }
}
#define event(e) c_code { events[e]++; }

/* ---- the invariants ------------------------------------------------------------------------- */

#define whole(k) (name[blob_of(k)] != 0 && is_in(name[blob_of(k)], has))
#define readable(k) (link[k] == SEEN && whole(k))

#define complete(m) \
    ((man[m] != LOOSE && man[m] != KEPT) || \
     ((!names(m, 0) || readable(0)) && (!names(m, 1) || readable(1)) && (!names(m, 2) || readable(2))))
#define kept_promise(k) (promise[k] == 0 || readable(k))
#define there(k) (link[k] != ABSENT && whole(k))
#define restorable(m) \
    (man[m] != TRASHED || mdue[m] == 0 || \
     ((!names(m, 0) || there(0)) && (!names(m, 1) || there(1)) && (!names(m, 2) || there(2))))
#define link_restorable(k) (link[k] != TRASHED || due[k] == 0 || whole(k))

#define in_rows (bit_of(name[0]) | bit_of(name[1]))
#if COLLECTORS == 2
#define in_hands (bit_of(held[0]) | bit_of(held[1]))
#else
#define in_hands bit_of(held[0])
#endif

/* Nothing runs out any more and the collectors have nothing to do. */
#define link_due(k) (link[k] != ABSENT && due[k] == 0)
#define link_waits(k) (link[k] != ABSENT && due[k] != NONE)
#define man_due(m) ((man[m] == LOOSE || man[m] == TRASHED) && mdue[m] == 0)
#define man_waits(m) (man[m] == LOOSE || man[m] == TRASHED)
#define quiet \
    (doomed == 0 && uploads == 0 && !man_waits(0) && !man_waits(1) && \
     !link_waits(0) && !link_waits(1) && !link_waits(2))
#define wanted(k) ((names(0, k) && man[0] == KEPT) || (names(1, k) && man[1] == KEPT))
#define clean \
    ((name[0] == 0 || wanted(0) || wanted(2)) && (name[1] == 0 || wanted(1)) && \
     (link[0] == ABSENT || wanted(0)) && (link[1] == ABSENT || wanted(1)) && \
     (link[2] == ABSENT || wanted(2)))

#define always_1 (complete(0) && complete(1))
#define always_2 (kept_promise(0) && kept_promise(1) && kept_promise(2))
#define always_4 ((has & ~(in_rows | uploads | doomed)) == 0 && (!quiet || clean))
#define always_6 \
    (restorable(0) && restorable(1) && link_restorable(0) && link_restorable(1) && \
     link_restorable(2))
#define broken(n) c_code { printf("invariant %d is broken\n", n); }; assert(false)

inline check() {
    if
    :: always_1 && always_2 && always_4 && always_6
    :: else ->
        if
        :: !always_1 -> broken(1)
        :: else
        fi;
        if
        :: !always_2 -> broken(2)
        :: else
        fi;
        if
        :: !always_4 -> broken(4)
        :: else
        fi;
        broken(6)
    fi
}

/* ---- parts of transactions ------------------------------------------------------------------ */

/* Scratch, of no meaning between two steps. */
hidden byte i, j, until, any, lasting, changed;

inline link_blob(k) {
    lease[k] = LEASE; /* it never was longer */
    if
    :: link[k] == SEEN && due[k] == NONE
    :: else -> due[k] = LONGER
    fi;
    link[k] = SEEN
}

inline take_back(m) {
    for (i : 0 .. LINKS - 1) {
        if
        :: names(m, i) && link[i] != ABSENT -> link[i] = SEEN; due[i] = NONE
        :: else
        fi
    }
}

inline let_go(m) {
    for (i : 0 .. LINKS - 1) {
        if
#if defined(WRONG_LET_GO_WITHOUT_LEASE)
        :: names(m, i) && link[i] == SEEN -> due[i] = GRACE
#elif defined(WRONG_TRASH_HOLDS_NOTHING)
        :: names(m, i) && link[i] == SEEN -> lease[i] = LEASE; due[i] = LEASE
#else
        :: names(m, i) && link[i] == SEEN -> lease[i] = LEASE; due[i] = LONGER
#endif
        :: else
        fi
    }
}

inline keep(m) {
    man[m] = KEPT;
    mdue[m] = 0;
    take_back(m)
}

inline drop_blob(b) {
    any = 0;
    for (j : 0 .. LINKS - 1) {
        if
        :: blob_of(j) == b && (link[j] != ABSENT || (names(0, j) && man[0] != ABSENT) ||
                               (names(1, j) && man[1] != ABSENT)) -> any = 1
        :: else
        fi
    }
    if
    :: !any && name[b] != 0 ->
        doomed = doomed | bit_of(name[b]);
        name[b] = 0
    :: else
    fi
}

inline remove_link(k) {
    link[k] = ABSENT;
    lease[k] = 0;
    due[k] = 0;
    changed = 1;
    drop_blob(blob_of(k))
}

#define lease_over(k) ((lease[k] == 0 || link[k] == TRASHED) && (due[k] == NONE || due[k] == 0))

#ifdef WRONG_TRASH_HOLDS_NOTHING
#define TRASH_HOLDS false
#else
#define TRASH_HOLDS true
#endif

inline review_link(k) {
    any = 0;
    lasting = 0;
    until = 0;
    for (j : 0 .. MANIFESTS - 1) {
        if
        :: names(j, k) && man[j] == KEPT -> any = 1; lasting = 1
        :: names(j, k) && (man[j] == LOOSE || (man[j] == TRASHED && TRASH_HOLDS)) ->
            any = 1;
            until = (mdue[j] > until -> mdue[j] : until)
        :: else
        fi
    }
    if
    :: any && !lasting && until == 0 /* they are due as well, and bring it along */
    :: any && (lasting || until > 0) ->
        event(EV_SHARED);
        if
        :: due[k] == 0 -> due[k] = (lasting -> NONE : until); changed = 1
        :: else
        fi
    :: !any && lease_over(k) -> remove_link(k)
    :: !any && !(lease_over(k)) ->
        event(EV_LEASED_AGAIN);
        if
        :: link[k] == SEEN ->
            due[k] = (due[k] != NONE && due[k] > lease[k] -> due[k] : lease[k]);
            changed = (due[k] > 0)
        :: else
        fi
    fi
}

/* Names have no order, so states that differ only in which name stands where are one: the names of
 * blobs first, then uploads, then what is doomed, then what only a collector remembers. */
#if !defined(WRONG_NAME_REUSED) && !defined(NAMES_AS_THEY_COME)
c_decl {
    extern void sort_names(void);
}
c_code {
    static int rank(int n)
    {
        int bit = 1 << n;
        int place = n == now.name[0]    ? 0
                    : n == now.name[1]  ? 1
                    : now.uploads & bit ? 2
                    : now.doomed & bit  ? 3
                                        : 4;
        int in_hand = 0, nobody = place == 4 && !(now.has & bit);
        for (int c = 0; c < COLLECTORS; c++)
            if (now.held[c] == n)
                in_hand |= 1 << c;
        return place * 16 + !(now.has & bit) * 8 + 4 - in_hand + (nobody && in_hand == 0) * 64;
    }
    static int renamed(int set, const int *to)
    {
        int out = 0;
        for (int n = 1; n <= NAMES; n++)
            if (set & (1 << n))
                out |= 1 << to[n];
        return out;
    }
    void sort_names(void)
    {
        int ranks[NAMES + 1], to[NAMES + 1] = { 0 };
        for (int n = 1; n <= NAMES; n++)
            ranks[n] = rank(n);
        for (int n = 1; n <= NAMES; n++) {
            to[n] = 1;
            for (int m = 1; m <= NAMES; m++)
                to[n] += ranks[m] < ranks[n] || (ranks[m] == ranks[n] && m < n);
        }
        for (int b = 0; b < BLOBS; b++)
            now.name[b] = to[now.name[b]];
        for (int c = 0; c < COLLECTORS; c++)
            now.held[c] = to[now.held[c]];
        now.has = renamed(now.has, to);
        now.uploads = renamed(now.uploads, to);
        now.doomed = renamed(now.doomed, to);
    }
}
#define rename_all() c_code { sort_names(); }
#else
#define rename_all() skip
#endif

/* ---- clients: each request is one transaction, so one process stands for any number ---------- */

inline head(k) {
    atomic {
        link[k] == SEEN && promise[k] < LEASE ->
        if
        :: due[k] == NONE -> event(EV_HEAD_USED) /* writes nothing */
        :: link_blob(k); event(EV_HEAD_LEASED)
        fi;
        promise[k] = LEASE;
        check()
    }
}

inline mount(from, k) {
    d_step {
        link[from] == SEEN ->
        link_blob(k);
        promise[k] = LEASE;
        event(EV_MOUNTED);
        check()
    }
}

#define seen_all(m) ((!names(m, 0) || (link[0] == SEEN && name[0] != 0)) && \
                     (!names(m, 1) || (link[1] == SEEN && name[1] != 0)) && \
                     (!names(m, 2) || (link[2] == SEEN && name[0] != 0)))

inline put(m, tagged) {
    d_step {
        if
        :: man[m] == LOOSE -> mdue[m] = LONGER
        :: man[m] == KEPT
        :: (man[m] == ABSENT || man[m] == TRASHED) && seen_all(m) ->
            if
            :: man[m] == TRASHED -> event(EV_PUSHED_OUT)
            :: else
            fi;
            man[m] = LOOSE;
            mdue[m] = LONGER;
            was_kept[m] = 0
        :: (man[m] == ABSENT || man[m] == TRASHED) && !seen_all(m) -> event(EV_MISSING)
        fi;
        if
        :: tagged && man[m] == LOOSE -> keep(m)
        :: else
        fi;
        check()
    }
}

inline trash(m) {
    d_step {
        man[m] == LOOSE || man[m] == KEPT ->
        was_kept[m] = (man[m] == KEPT);
        man[m] = TRASHED;
        mdue[m] = GRACE;
        let_go(m);
        check()
    }
}

inline untag(m) {
    d_step {
        man[m] == KEPT ->
        man[m] = LOOSE;
        mdue[m] = LONGER;
        let_go(m);
        check()
    }
}

inline restore(m) {
    if
    :: was_kept[m] -> keep(m); event(EV_UNDONE)
    :: else ->
        man[m] = LOOSE;
        mdue[m] = LONGER;
#ifdef WRONG_UNDO_WITHOUT_LEASE
        take_back(m);
#else
        for (i : 0 .. LINKS - 1) {
            if
            :: names(m, i) && link[i] != ABSENT -> link_blob(i)
            :: else
            fi
        }
#endif
        event(EV_UNDONE_LOOSE)
    fi;
    was_kept[m] = 0
}

#ifdef WRONG_UNDO_BLIND
inline undo(m) {
    man[m] == TRASHED && mdue[m] > 0 ->
    d_step {
        restore(m);
        check()
    }
}
#else
inline undo(m) {
    d_step {
        man[m] == TRASHED && mdue[m] > 0 ->
        restore(m);
        check()
    }
}
#endif

#define live(m) (man[m] == LOOSE || man[m] == KEPT)

inline trash_link(k) {
    d_step {
        link[k] == SEEN && !(names(0, k) && live(0)) && !(names(1, k) && live(1)) ->
        link[k] = TRASHED;
        lease[k] = 0;
        due[k] = GRACE;
        promise[k] = 0;
        check()
    }
}

inline undo_link(k) {
    d_step {
        link[k] == TRASHED && due[k] > 0 ->
        link_blob(k);
        event(EV_LINK_UNDONE);
        check()
    }
}

/* ---- uploads: the only request that is under way for a while --------------------------------- */

#ifdef WRONG_NAME_REUSED
#define RESERVED 6
#else
#define RESERVED 0
#endif
#define known (has | uploads | doomed | in_rows | in_hands | RESERVED)
#define ALL   (bit_of(NAMES + 1) - 2)
#define size(set) \
    (is_in(1, set) + is_in(2, set) + is_in(3, set) + is_in(4, set) + is_in(5, set) + \
     is_in(6, set) + is_in(7, set))

inline lowest(n, condition) {
    n = 1;
    do
    :: condition -> break
    :: else -> n++
    od
}

inline start() {
    d_step {
        size(uploads) < PUSHERS && (known & ALL) != ALL ->
        lowest(i, !is_in(i, known));
        uploads = uploads | bit_of(i);
        has = has | bit_of(i);
        rename_all();
        check()
    }
}

/* Which blob it is shows now. Which of the uploads it is makes no difference: they differ by name. */
inline finish(k) {
    d_step {
        uploads != 0 ->
        lowest(i, is_in(i, uploads));
        uploads = uploads & ~bit_of(i);
        if
        :: name[blob_of(k)] != 0 -> doomed = doomed | bit_of(i); event(EV_DOUBLE)
#ifdef WRONG_NAME_REUSED
        /* The file is named after its content: those of earlier uploads were as well. */
        :: else ->
            has = (has & ~bit_of(i)) | bit_of(blob_of(k) + 1);
            name[blob_of(k)] = blob_of(k) + 1
#else
        :: else -> name[blob_of(k)] = i
#endif
        fi;
        link_blob(k);
        promise[k] = LEASE;
        rename_all();
        check()
    }
}

active proctype clients() {
end:
    do
    :: start()
    :: finish(0)
    :: finish(1)
    :: head(0)
    :: head(1)
    :: head(2)
    :: mount(0, 2)
    :: mount(2, 0)
    :: put(0, false)
    :: put(0, true)
    :: put(1, false)
    :: put(1, true)
    :: trash(0)
    :: trash(1)
    :: untag(0)
    :: untag(1)
    :: undo(0)
    :: undo(1)
    :: trash_link(0)
    :: trash_link(1)
    :: trash_link(2)
    :: undo_link(0)
    :: undo_link(1)
    :: undo_link(2)
    od
}

/* ---- collectors ------------------------------------------------------------------------------ */

#define unused(k) (!(names(0, k) && man[0] != ABSENT) && !(names(1, k) && man[1] != ABSENT))
#define removable(k) (link_due(k) && unused(k) && lease_over(k))

inline look_at_link(k) {
    d_step {
        link_due(k) ->
        changed = 0;
        review_link(k);
        rename_all();
        /* It went, or its time did; or something that is due itself brings it along. */
        if
        :: changed || any
        :: else -> broken(4)
        fi;
        check()
    }
}

inline look_at_manifest(m) {
    d_step {
        man_due(m) ->
        man[m] = ABSENT;
        was_kept[m] = 0;
        for (i : 0 .. LINKS - 1) {
            if
            :: names(m, i) && link[i] != ABSENT -> review_link(i)
            :: else
            fi
        }
        rename_all();
        check()
    }
}

#if defined(WRONG_LEASE_OUTSIDE)
inline collect_link(k) {
    removable(k);
    d_step {
        if
        :: link[k] != ABSENT && unused(k) -> remove_link(k) /* whatever its lease is by now */
        :: else
        fi;
        rename_all();
        check()
    }
}
#elif defined(WRONG_UNLINK_FIRST)
inline collect_link(k) {
    d_step {
        removable(k) ->
        has = has & ~bit_of(name[blob_of(k)]);
        rename_all();
        check()
    };
    if
    :: look_at_link(k)
    :: !link_due(k)
    :: true /* crash */
    fi
}
#elif defined(LIST_APART)
inline collect_link(k) {
    link_due(k);
    if
    :: look_at_link(k)
    :: !link_due(k) -> event(EV_NOT_DUE)
    :: true /* crash */
    fi
}
#else
inline collect_link(k) {
    look_at_link(k)
}
#endif

#ifdef LIST_APART
inline collect_manifest(m) {
    man_due(m);
    if
    :: look_at_manifest(m)
    :: !man_due(m) -> event(EV_NOT_DUE)
    :: true /* crash */
    fi
}
#else
inline collect_manifest(m) {
    look_at_manifest(m)
}
#endif

/* Its client went away. */
inline expire() {
    d_step {
        uploads != 0 ->
        lowest(i, is_in(i, uploads));
        uploads = uploads & ~bit_of(i);
        doomed = doomed | bit_of(i);
        event(EV_EXPIRED);
        rename_all();
        check()
    }
}

inline list_name(c, n) {
    d_step {
        is_in(n, doomed) ->
        held[c] = n;
        rename_all()
    }
}

#define let_fall(c, why) \
    d_step { \
        held[c] = 0; \
        event(why); \
        rename_all() \
    }

inline remove_name(c, last) {
    d_step {
        if
        :: !is_in(held[c], has) -> event(EV_GONE_ALREADY)
        :: else -> has = has & ~bit_of(held[c])
        fi;
        held[c] = (last -> 0 : held[c]);
        rename_all();
        check()
    }
}

inline drop_name(c, last) {
    d_step {
        doomed = doomed & ~bit_of(held[c]);
        held[c] = (last -> 0 : held[c]);
        if
        :: quiet && has == 0 -> event(EV_EMPTY)
        :: else
        fi;
        rename_all();
        check()
    }
}

active [COLLECTORS] proctype collector() {
    byte c = _pid - 1;
end:
    do
    :: collect_link(0)
    :: collect_link(1)
    :: collect_link(2)
    :: collect_manifest(0)
    :: collect_manifest(1)
    :: expire()
    :: if
        :: list_name(c, 1)
        :: list_name(c, 2)
        :: list_name(c, 3)
        :: list_name(c, 4)
        :: list_name(c, 5)
        :: list_name(c, 6)
        :: list_name(c, 7)
        fi;
#ifdef WRONG_DROP_FIRST
        drop_name(c, false);
        if
        :: remove_name(c, true)
        :: let_fall(c, EV_CRASHED_BETWEEN)
        fi
#else
        if
        :: remove_name(c, false);
            if
            :: drop_name(c, true)
            :: let_fall(c, EV_CRASHED_BETWEEN)
            fi
        :: let_fall(c, EV_CRASHED_BEFORE)
        fi
#endif
    od
}

/* ---- time ------------------------------------------------------------------------------------- */

#define runs(t) ((t) > 0 && (t) != NONE)

inline run_down(t) {
    if
    :: runs(t) -> t--; changed = 1
    :: else
    fi
}

active proctype clock() {
end:
    do
    :: d_step {
            runs(promise[0]) || runs(promise[1]) || runs(promise[2]) ||
                runs(lease[0]) || runs(lease[1]) || runs(lease[2]) ||
                runs(due[0]) || runs(due[1]) || runs(due[2]) || runs(mdue[0]) || runs(mdue[1]) ->
            for (i : 0 .. LINKS - 1) {
                run_down(promise[i]);
                run_down(lease[i]);
                run_down(due[i])
            }
            for (i : 0 .. MANIFESTS - 1) {
                run_down(mdue[i])
            }
            check()
        }
    od
}
