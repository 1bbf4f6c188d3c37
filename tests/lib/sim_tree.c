#include "tests/lib/sim_tree.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sched.h"

/* One name of one directory gets a new meaning. */
struct setting {
    struct sim_inode *dir;
    char *name;
    struct sim_inode *inode; /* NULL: no such name */
};

/* A make, unlink or rename that is not safe yet. */
struct change {
    struct list link;
    struct setting settings[2];
    unsigned n_settings;
    struct sim_inode
        *about[2]; /* the file that gets or loses a name, and the one a rename replaced, or NULL */
    bool chosen;
};

/* Where a path leads: a name in a directory. */
struct place {
    struct sim_inode *dir;
    char name[NAME_MAX + 1];
};

static struct sim_inode *inode_new(struct sim_tree *t, bool is_dir)
{
    struct sim_inode *inode = sim_alloc(sizeof *inode);
    inode->is_dir = is_dir;
    list_push(&t->all, &inode->all);
    return inode;
}

void sim_inode_hold(struct sim_inode *inode)
{
    inode->refs++;
}

static void names_clear(struct sim_names *names, bool now);

void sim_inode_drop(struct sim_inode *inode)
{
    if (inode == NULL || --inode->refs > 0) {
        return;
    }
    names_clear(&inode->now, true);
    names_clear(&inode->safe, false);
    sim_file_close(&inode->file);
    list_remove(&inode->all);
    free(inode);
}

static void names_clear(struct sim_names *names, bool now)
{
    for (size_t i = 0; i < names->n; i++) {
        names->v[i].inode->links -= now;
        sim_inode_drop(names->v[i].inode);
        free(names->v[i].text);
    }
    free(names->v);
    memset(names, 0, sizeof *names);
}

/* Where TEXT is, or where it would go. */
static size_t names_find(const struct sim_names *names, const char *text, bool *ret_found)
{
    size_t low = 0, high = names->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(names->v[middle].text, text);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

static struct sim_inode *names_get(const struct sim_names *names, const char *text)
{
    bool found;
    size_t i = names_find(names, text, &found);
    return found ? names->v[i].inode : NULL;
}

static void names_set(struct sim_names *names, const char *text, struct sim_inode *inode, bool now)
{
    bool found;
    size_t i = names_find(names, text, &found);
    if (inode != NULL) {
        inode->links += now;
        sim_inode_hold(inode);
    }
    if (found) {
        struct sim_inode *old = names->v[i].inode;
        names->v[i].inode = inode;
        old->links -= now;
        sim_inode_drop(old);
        if (inode == NULL) {
            free(names->v[i].text);
            names->n--;
            memmove(names->v + i, names->v + i + 1, (names->n - i) * sizeof *names->v);
        }
        return;
    }
    if (inode == NULL) {
        return;
    }
    if (names->n == names->cap) {
        names->cap = names->cap == 0 ? 8 : names->cap * 2;
        names->v = realloc(names->v, names->cap * sizeof *names->v);
        assert(names->v != NULL);
    }
    memmove(names->v + i + 1, names->v + i, (names->n - i) * sizeof *names->v);
    names->v[i] = (struct sim_name){sim_strdup(text), inode};
    names->n++;
}

/* Takes the next part of a path into NAME; 0 at the end, -1 when it is too long. */
static int next_part(const char **path, char *name)
{
    for (;;) {
        const char *p = *path + strspn(*path, "/");
        size_t n = strcspn(p, "/");
        *path = p + n;
        if (n == 1 && p[0] == '.') {
            continue;
        }
        if (n > NAME_MAX) {
            return -1;
        }
        memcpy(name, p, n);
        name[n] = '\0';
        return n > 0;
    }
}

/* The directory and the last name; Q_INVALID when the path is the root itself. */
static int find_place(const struct sim_tree *t, const char *path, struct place *place, struct error *e)
{
    const char *rest = path;
    char next[NAME_MAX + 1];
    int more = next_part(&rest, place->name);
    if (more == 0) {
        return error_errno(e, EBUSY, "%s", path);
    }
    place->dir = t->root;
    while (more > 0 && (more = next_part(&rest, next)) > 0) {
        struct sim_inode *inode = names_get(&place->dir->now, place->name);
        if (inode == NULL) {
            return error_errno(e, ENOENT, "%s", path);
        }
        if (!inode->is_dir) {
            return error_errno(e, ENOTDIR, "%s", path);
        }
        place->dir = inode;
        memcpy(place->name, next, sizeof next);
    }
    return more < 0 ? error_errno(e, ENAMETOOLONG, "%s", path) : 0;
}

static struct sim_inode *at_place(const struct place *place)
{
    return names_get(&place->dir->now, place->name);
}

int sim_tree_find(const struct sim_tree *t, const char *path, struct sim_inode **ret_inode, struct error *e)
{
    const char *rest = path;
    struct place place;
    char name[NAME_MAX + 1];
    if (next_part(&rest, name) == 0) {
        *ret_inode = t->root;
        return 0;
    }
    int rc = find_place(t, path, &place, e);
    if (rc != 0) {
        return rc;
    }
    struct sim_inode *inode = at_place(&place);
    if (inode == NULL) {
        return error_errno(e, ENOENT, "%s", path);
    }
    *ret_inode = inode;
    return 0;
}

void sim_tree_init(struct sim_tree *t)
{
    list_init(&t->all);
    list_init(&t->changes);
    t->root = inode_new(t, true);
    sim_inode_hold(t->root);
}

static void change_free(struct change *change)
{
    list_remove(&change->link);
    for (unsigned i = 0; i < change->n_settings; i++) {
        sim_inode_drop(change->settings[i].dir);
        sim_inode_drop(change->settings[i].inode);
        free(change->settings[i].name);
    }
    sim_inode_drop(change->about[0]);
    sim_inode_drop(change->about[1]);
    free(change);
}

void sim_tree_close(struct sim_tree *t)
{
    LIST_EACH_SAFE (&t->changes, l) {
        change_free(CONTAINER_OF(l, struct change, link));
    }
    sim_inode_drop(t->root);
    assert(list_empty(&t->all));
}

static void copy_below(struct sim_tree *t, struct sim_inode *dir, const struct sim_inode *from)
{
    for (size_t i = 0; i < from->now.n; i++) {
        const struct sim_name *name = &from->now.v[i];
        struct sim_inode *inode = inode_new(t, name->inode->is_dir);
        names_set(&dir->now, name->text, inode, true);
        names_set(&dir->safe, name->text, inode, false);
        if (inode->is_dir) {
            copy_below(t, inode, name->inode);
        } else {
            sim_file_copy(&inode->file, &name->inode->file);
        }
    }
}

void sim_tree_copy(struct sim_tree *to, const struct sim_tree *from)
{
    sim_tree_init(to);
    copy_below(to, to->root, from->root);
}

static struct change *change_new(struct sim_tree *t, struct sim_inode *about, struct sim_inode *replaced)
{
    struct change *change = sim_alloc(sizeof *change);
    change->about[0] = about;
    change->about[1] = replaced;
    sim_inode_hold(about);
    if (replaced != NULL) {
        sim_inode_hold(replaced);
    }
    list_push(&t->changes, &change->link);
    return change;
}

static void change_set(struct change *change, const struct place *place, struct sim_inode *inode)
{
    struct setting *setting = &change->settings[change->n_settings++];
    setting->dir = place->dir;
    setting->name = sim_strdup(place->name);
    setting->inode = inode;
    sim_inode_hold(place->dir);
    if (inode != NULL) {
        sim_inode_hold(inode);
    }
    names_set(&place->dir->now, place->name, inode, true);
}

static void change_make_safe(struct change *change)
{
    for (unsigned i = 0; i < change->n_settings; i++) {
        const struct setting *setting = &change->settings[i];
        names_set(&setting->dir->safe, setting->name, setting->inode, false);
    }
    change_free(change);
}

static bool meet(const struct change *a, const struct change *b)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 2; k++) {
            if (a->about[i] != NULL && a->about[i] == b->about[k]) {
                return true;
            }
            if (i < a->n_settings && k < b->n_settings && a->settings[i].dir == b->settings[k].dir &&
                strcmp(a->settings[i].name, b->settings[k].name) == 0) {
                return true;
            }
        }
    }
    return false;
}

int sim_tree_make(struct sim_tree *t, const char *path, bool is_dir, struct sim_inode **ret_inode,
                  struct error *e)
{
    struct place place;
    int rc = find_place(t, path, &place, e);
    if (rc != 0) {
        return rc;
    }
    if (at_place(&place) != NULL) {
        return error_set(e, Q_CONFLICT, "%s exists already", path);
    }
    struct sim_inode *inode = inode_new(t, is_dir);
    change_set(change_new(t, inode, NULL), &place, inode);
    *ret_inode = inode;
    return 0;
}

int sim_tree_unlink(struct sim_tree *t, const char *path, struct error *e)
{
    struct place place;
    int rc = find_place(t, path, &place, e);
    if (rc != 0) {
        return rc;
    }
    struct sim_inode *inode = at_place(&place);
    if (inode == NULL || inode->is_dir) {
        return error_errno(e, inode == NULL ? ENOENT : EISDIR, "%s", path);
    }
    change_set(change_new(t, inode, NULL), &place, NULL);
    return 0;
}

int sim_tree_rename(struct sim_tree *t, const char *from, const char *to, struct error *e)
{
    struct place source, target;
    int rc = find_place(t, from, &source, e);
    if (rc == 0) {
        rc = find_place(t, to, &target, e);
    }
    if (rc != 0) {
        return rc;
    }
    struct sim_inode *inode = at_place(&source);
    struct sim_inode *replaced = at_place(&target);
    int problem = 0;
    if (inode == NULL) {
        problem = ENOENT;
    } else if (inode->is_dir && source.dir != target.dir) {
        problem = EXDEV;
    } else if (replaced != NULL && replaced->is_dir != inode->is_dir) {
        problem = inode->is_dir ? ENOTDIR : EISDIR;
    } else if (replaced != NULL && replaced != inode && replaced->is_dir && replaced->now.n > 0) {
        problem = ENOTEMPTY;
    }
    if (problem != 0) {
        return error_errno(e, problem, "rename %s to %s", from, to);
    }
    if (replaced != inode) {
        struct change *change = change_new(t, inode, replaced);
        change_set(change, &source, NULL);
        change_set(change, &target, inode);
    }
    return 0;
}

void sim_tree_sync(struct sim_tree *t, struct sim_inode *dir)
{
    for (struct list *l = t->changes.prev; l != &t->changes; l = l->prev) {
        struct change *change = CONTAINER_OF(l, struct change, link);
        change->chosen =
            change->settings[0].dir == dir || (change->n_settings == 2 && change->settings[1].dir == dir);
        for (struct list *k = l->next; k != &t->changes && !change->chosen; k = k->next) {
            struct change *later = CONTAINER_OF(k, struct change, link);
            change->chosen = later->chosen && meet(change, later);
        }
    }
    LIST_EACH_SAFE (&t->changes, l) {
        struct change *change = CONTAINER_OF(l, struct change, link);
        if (change->chosen) {
            change_make_safe(change);
        }
    }
}

static void choose_prefix(struct sim_tree *t, struct rng *rng)
{
    uint64_t n = 0;
    LIST_EACH (&t->changes, l) {
        n++;
    }
    n = rng_between(rng, 0, n);
    LIST_EACH (&t->changes, l) {
        CONTAINER_OF(l, struct change, link)->chosen = n > 0;
        n -= n > 0;
    }
}

static void choose_subset(struct sim_tree *t, struct rng *rng)
{
    LIST_EACH (&t->changes, l) {
        struct change *change = CONTAINER_OF(l, struct change, link);
        change->chosen = rng_between(rng, 0, 1) == 0;
        for (struct list *k = t->changes.next; k != l && change->chosen; k = k->next) {
            struct change *earlier = CONTAINER_OF(k, struct change, link);
            change->chosen = earlier->chosen || !meet(earlier, change);
        }
    }
}

static void crash_inode(struct sim_inode *inode, struct rng *rng, struct sim_torn *sectors)
{
    if (!inode->is_dir) {
        sim_file_crash(&inode->file, rng, sectors);
        return;
    }
    names_clear(&inode->now, true);
    for (size_t i = 0; i < inode->safe.n; i++) {
        names_set(&inode->now, inode->safe.v[i].text, inode->safe.v[i].inode, true);
        crash_inode(inode->safe.v[i].inode, rng, sectors);
    }
}

void sim_tree_crash(struct sim_tree *t, struct rng *rng, struct sim_torn *names, struct sim_torn *sectors)
{
    if (rng_between(rng, 0, 1) == 0) {
        choose_prefix(t, rng);
    } else {
        choose_subset(t, rng);
    }
    LIST_EACH_SAFE (&t->changes, l) {
        struct change *change = CONTAINER_OF(l, struct change, link);
        if (change->chosen) {
            names->kept++;
            change_make_safe(change);
        } else {
            names->dropped++;
            change_free(change);
        }
    }
    crash_inode(t->root, rng, sectors);
}

static bool path_below(const struct sim_inode *dir, const struct sim_inode *inode, char *path, size_t at,
                       size_t n)
{
    for (size_t i = 0; i < dir->now.n; i++) {
        const struct sim_name *name = &dir->now.v[i];
        int length = snprintf(path + at, n - at, "/%s", name->text);
        assert((size_t)length < n - at);
        if (name->inode == inode ||
            (name->inode->is_dir && path_below(name->inode, inode, path, at + (size_t)length, n))) {
            return true;
        }
    }
    return false;
}

bool sim_tree_path(const struct sim_tree *t, const struct sim_inode *inode, char *ret_path, size_t n)
{
    return path_below(t->root, inode, ret_path, 0, n);
}

static void each_below(struct sim_inode *dir, const char *path, void (*each)(void *, const char *, uint64_t),
                       void *ctx)
{
    for (size_t i = 0; i < dir->now.n; i++) {
        char below[PATH_MAX];
        struct sim_inode *inode = dir->now.v[i].inode;
        snprintf(below, sizeof below, "%s/%s", path, dir->now.v[i].text);
        if (inode->is_dir) {
            each_below(inode, below, each, ctx);
        } else {
            each(ctx, below, inode->file.size_now);
        }
    }
}

void sim_tree_each_file(struct sim_tree *t, void (*each)(void *ctx, const char *path, uint64_t size),
                        void *ctx)
{
    each_below(t->root, "", each, ctx);
}
