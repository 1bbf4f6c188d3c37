/* object: a magic number in every long-lived struct, checked wherever a void pointer becomes that struct
 * again. */
#ifndef QUORATE_BASE_OBJECT_H
#define QUORATE_BASE_OBJECT_H

#include <assert.h>
#include <stddef.h>

/* First member of the struct. Set to the struct's own magic at init, to 0 at close. */
#define OBJECT_MAGIC unsigned magic

/* CAST(type, pointer, MAGIC): the checked pointer. Stops the process on a wrong or dead object. */
#define CAST(type, pointer, wanted)                                                                          \
    ({                                                                                                       \
        type *cast_ = (type *)(pointer);                                                                     \
        assert(cast_ != NULL && cast_->magic == (wanted));                                                   \
        cast_;                                                                                               \
    })

/* The struct that holds MEMBER at POINTER. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
