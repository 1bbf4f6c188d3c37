/* members: who is in the cluster and where each of them is reached: one list that all parts of a node look
 * at, kept in the file `members` of its directory. It does not know how it is decided who is in (storage and
 * the log do that), nor connections.
 *
 * The list begins as the one that the node was given at its first start (FIRST) or was told when it joined,
 * and rows of the replicated table are merged over it (members_set()), so the file is a cache: it says where
 * the others are before the database can.
 *
 * The file is two copies of one record, so that a damaged one does not matter; each takes half of the file,
 * filled up with zeros to whole blocks of 4096 bytes:
 *
 *   8 bytes   magic "QURBOOK1"; another layout would have another one
 *   u32       length of the record, checksum included, without the zeros
 *   u32       number of members, at most MEMBERS_KNOWN_MAX
 *   members   in the order of their ids: u64 id (not 0), u64 incarnation, u64 changed, u8 state,
 *             {u32 length, bytes} address
 *   u32       CRC32C of what is before
 *
 * It is written under another name, synced, renamed, and the directory synced. A reader takes the first copy
 * that is whole, then FIRST; if there is none of them it says that the file is damaged.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_MEMBERS_H
#define QUORATE_CLUSTER_MEMBERS_H

#include "cluster/peers.h"
#include "storage/member_change.h"

struct members;

enum { MEMBERS_KNOWN_MAX = 1024 }; /* with those that were removed; PEERS_MAX are in at once */

struct member {
    uint64_t id, incarnation; /* incarnation 0: not known */
    char address[PEERS_ADDRESS_MAX + 1];
    enum member_state state;
    uint64_t changed; /* index of the log entry that said so; 0: the first list */
};

/* Reads DIR/members if it is there, else begins with the COUNT members of FIRST (borrowed, none if the file
 * must be there). Blocking; writes nothing: the owner calls members_save() when it knows that DIR is its own.
 * Errors: Q_NOT_FOUND (neither file nor FIRST), Q_CORRUPT (the file is damaged, and there is no FIRST),
 * Q_INVALID (FIRST: an id of 0 or twice, an address that is none or twice), Q_IO, Q_NOMEM. */
int members_open(struct env *env, const char *dir, const struct peers_member *first, unsigned count,
                 struct members **ret_members, struct error *e);
void members_free(struct members *m); /* NULL is fine */
/* What was wrong with the file, for the operator; "" if nothing was. */
const char *members_damage(const struct members *m);

/* Makes the list durable if it is not. Blocks for small writes. Errors: Q_NO_SPACE, Q_IO, Q_NOMEM; the list
 * is as good as before, and the next call tries again. */
int members_save(struct members *m, struct error *e);

/* Merges the COUNT members at ALL over the list, and saves it if that changed it: those that are not named
 * stay, and one that was CHANGED before the one that is known is old news. Errors: those of members_save(),
 * with the list changed; and, with nothing changed, Q_INVALID (an id, a state or an address that is none) and
 * Q_TOO_BIG (more than PEERS_MAX in or MEMBERS_KNOWN_MAX known). */
int members_set(struct members *m, const struct member *all, unsigned count, struct error *e);

/* Those that are in, in the order of their ids. Borrowed until the next members_set(). */
unsigned members_count(const struct members *m);
const struct member *members_at(const struct members *m, unsigned i);
/* Those that were removed, too. */
unsigned members_known(const struct members *m);
const struct member *members_known_at(const struct members *m, unsigned i);
/* Of all that are known; NULL: none has this ID. */
const struct member *members_find(const struct members *m, uint64_t id);
/* One that is in; NULL also for one that was removed. */
const struct member *members_in(const struct members *m, uint64_t id);
/* Grows with each change. */
uint64_t members_version(const struct members *m);

#endif
