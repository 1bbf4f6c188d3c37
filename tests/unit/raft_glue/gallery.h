/* gallery: members whose databases may be replaced by images of each other's. A database here is its position
 * and a hash of all that was applied; it and what is staged outlive a crash. Two that differ at an index fail
 * the test. */
#ifndef QUORATE_TESTS_GALLERY_H
#define QUORATE_TESTS_GALLERY_H

#include "tests/unit/raft_glue/members.h"

enum { GALLERY_ENTRIES = 1 << 14 };

struct database {
    uint64_t index, term, hash;
    struct consensus_image staged;
    uint8_t configuration[META_CONFIGURATION_MAX + 8];
    unsigned fetches, installs, swaps; /* swaps: those of a start */
    uint64_t fetch_from, fetch_index, fetch_term;
    unsigned boots;
};

struct gallery {
    struct members members;
    struct database database[MEMBERS_MAX + 1]; /* from 1 */
    uint64_t hash_at[GALLERY_ENTRIES],
        term_at[GALLERY_ENTRIES]; /* as the first to apply it says; 0: nobody */
    bool by_hand; /* what is to be fetched is not fetched, nor installed what is to be installed */
};

/* COUNT machines. Nothing is opened. */
void gallery_init(struct gallery *g, unsigned count);
struct database *gallery_database(struct member *member);
/* Opens the member and starts it with its database, or begins to mend its log. */
void gallery_start(struct member *member);
/* As members_start(), and waits for a leader, which is returned. */
struct member *gallery_start_all(struct gallery *g);
/* Power loss, if there was none yet, and a fresh process. */
void gallery_crash(struct member *member);
bool gallery_is_down(const struct member *member);

/* Stages an image of SOURCE's database at INDEX for TARGET. Errors: those of consensus_image_at(). */
int gallery_copy(struct member *target, struct member *source, uint64_t index, struct error *e);
/* The same, and tells TARGET. Returns its code. */
int gallery_stage(struct member *target, struct member *source, uint64_t index, struct error *e);
/* Makes it the database as it was at INDEX. */
void gallery_put_at(struct member *member, uint64_t index);
/* Puts the staged image in the database's place. */
void gallery_put(struct member *member);
/* The same, and tells the member. */
void gallery_install(struct member *member);

/* LEADER writes N entries; all its members that are not cut off apply them. */
void gallery_write(struct member *leader, unsigned n);
/* Compacts all that are not cut off, at their databases' positions. */
void gallery_compact(struct gallery *g);

#endif
