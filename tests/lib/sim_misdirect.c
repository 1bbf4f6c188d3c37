#include "tests/lib/sim_misdirect.h"

/* A file of at least one block that has a name, by chance; NULL when there is none. */
static struct sim_inode *draw_file(const struct sim_tree *t, struct rng *rng)
{
    struct sim_inode *drawn = NULL;
    uint64_t n = 0;
    LIST_EACH (&t->all, l) {
        struct sim_inode *inode = CONTAINER_OF(l, struct sim_inode, all);
        if (!inode->is_dir && inode->links > 0 && inode->file.size_now >= SIM_PAGE &&
            rng_between(rng, 0, n++) == 0) {
            drawn = inode;
        }
    }
    return drawn;
}

bool sim_misdirect_draw(const struct sim_tree *t, struct rng *rng, const struct sim_inode *inode,
                        uint64_t offset, size_t n, struct sim_misdirect *ret_place)
{
    struct sim_misdirect place = {0};
    switch (rng_between(rng, 0, 3)) {
    case 0: break;
    case 1: place.file = draw_file(t, rng); break;
    default: place.file = (struct sim_inode *)inode; break;
    }
    if (place.file != NULL && place.file->file.size_now >= SIM_PAGE) {
        uint64_t size = place.file->file.size_now;
        place.offset = rng_between(rng, 0, size / SIM_PAGE - 1) * SIM_PAGE + offset % SIM_PAGE;
        place.len = place.offset + n <= size ? n : (size_t)(size - place.offset);
    } else {
        place.file = NULL;
    }
    if (place.file == inode && place.offset < offset + n && offset < place.offset + n) {
        return false;
    }
    *ret_place = place;
    return true;
}
