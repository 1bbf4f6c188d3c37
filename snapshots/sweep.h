/* sweep: removes the chunks of a store that no kept manifest names, and that no kept chunk is
 * stored as a difference to. It does not know why a manifest is kept.
 *
 * KEPT is all that anybody still needs: the manifests in the catalog, those of shipments, and take_manifest()
 * of a running take. A manifest that is not kept any more was durably removed before.
 *
 * Threads: as the store's; blocks. */
#ifndef QUORATE_SNAPSHOTS_SWEEP_H
#define QUORATE_SNAPSHOTS_SWEEP_H

#include "snapshots/chunk_store.h"
#include "snapshots/manifest.h"

/* *RET_CHUNKS and *RET_BYTES: what was removed. After an error some may have gone. Errors: Q_IO, Q_NOMEM. */
int sweep_run(struct chunk_store *s, const struct manifest *const *kept, unsigned count, uint64_t *ret_chunks,
              uint64_t *ret_bytes, struct error *e);

#endif
