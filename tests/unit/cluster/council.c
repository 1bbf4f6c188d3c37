#include "tests/unit/cluster/council.h"

#include <inttypes.h>

static void flag(struct steward_member *m, char c)
{
    switch (c) {
    case '!': m->answers = false; break;
    case '~': m->close = false; break;
    case '+': m->caught_up = true; break;
    case '*': m->changed = 0; break;
    default: fail_msg("flag %c", c);
    }
}

void council_init(struct council *c, const char *text)
{
    static const char roles[] = "OSV", wishes[] = "?avslr";

    memset(c, 0, sizeof *c);
    c->view = (struct steward_view){.id = 1, .target = 3, .max = 8, .members = c->members};
    while (*text != '\0') {
        unsigned i = c->view.members_count++;
        struct steward_member *m = &c->members[i];

        *m = (struct steward_member){.answers = true, .close = true};
        m->id = strtoull(text, (char **)&text, 10);
        m->role = (enum member_role)(strchr(roles, *text++) - roles);
        m->wanted = (enum member_state)(strchr(wishes, *text++) - wishes);
        m->incarnation = 1000 + m->id;
        m->changed = 100 + m->id;
        m->match = 10 * m->id;
        snprintf(c->addresses[i], sizeof c->addresses[i], "h%d:1", (int)m->id);
        m->address = c->addresses[i];
        for (; *text != ' ' && *text != '\0'; text++) {
            flag(m, *text);
        }
        text += *text == ' ';
        c->view.highest = m->id > c->view.highest ? m->id : c->view.highest;
        c->view.count += m->wanted != MEMBER_REMOVED;
    }
}

const char *council_next(struct council *c)
{
    static const char *const names[] = {"rest", "record",   "remove",  "hand over",
                                        "add",  "catch up", "promote", "demote"};
    struct steward_step step;

    steward_next(&c->view, &step);
    if (step.kind == STEWARD_REST) {
        snprintf(c->shown, sizeof c->shown, "rest%s%s", step.why[0] ? ": " : "", step.why);
    } else {
        assert_string_equal(step.why, "");
        snprintf(c->shown, sizeof c->shown, "%s %" PRIu64, names[step.kind], step.id);
    }
    return c->shown;
}

static size_t show_change(char *to, size_t n, const struct member_change *change)
{
    static const char *const names[] = {"?", "auto", "voter", "standby", "leaving", "removed"};
    int len = (int)cursor_left(&change->address);
    const char *address = (const char *)change->address.p;

    if (change->kind == MEMBER_ADMIT) {
        return (size_t)snprintf(to, n, "admit %" PRIu64 "/%" PRIu64 " %s %.*s", change->id,
                                change->incarnation, names[change->state], len, address);
    }
    if (change->kind == MEMBER_MOVE) {
        return (size_t)snprintf(to, n, "move %" PRIu64 " %.*s", change->id, len, address);
    }
    return (size_t)snprintf(to, n, "%s %" PRIu64 " %.*s", names[change->state], change->id, len, address);
}

const char *council_grant(struct council *c, struct wish wish)
{
    struct wish_plan plan;
    struct error e;
    size_t n = 0;

    wish.address = wish.address != NULL ? wish.address : "";
    if (wish_grant(&c->view, &wish, &plan, &e) != 0) {
        snprintf(c->shown, sizeof c->shown, "%s: %s", error_name(e.code), e.text);
        return c->shown;
    }
    if (plan.count == 0) {
        snprintf(c->shown, sizeof c->shown, "as it is @%" PRIu64, plan.changed);
    }
    for (unsigned i = 0; i < plan.count; i++) {
        n += (size_t)snprintf(c->shown + n, sizeof c->shown - n, "%s", i > 0 ? " and " : "");
        n += show_change(c->shown + n, sizeof c->shown - n, &plan.changes[i]);
    }
    return c->shown;
}
