"""Has every file that a tenant's store names in the folder, for those who look at all of them; nothing on one machine.

Does not belong here: what is looked for in the files.
"""

from zentra_pipeline import blobs
from zentra_pipeline.closeout import shared_bundles
from zentra_pipeline.ingest import mappings
from zentra_pipeline.review import attachments
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store import shared_files
from zentra_pipeline.tenants.tenant import Tenant


def everything(tenant: Tenant) -> None:
    """Fetch what is missing here: bytes as received, old revisions, bundles, attachments, what profiles said.

    DamagedFilesError for a file that the object store lacks, or has otherwise.
    """
    paths = tenant.paths
    if not blobs.are_shared(paths):
        return
    shared_files.pull_all(paths)
    with tenant.reading() as connection:
        bundles = [(each.bundle, each.seal_digest) for each in closeout_store.listed(connection)]
        bundles += [(each.bundle, each.seal_digest) for each in period_store.listed(connection)]
        named = [found for found in map(attachments.named, decision_store.listed(connection)) if found is not None]
        formats = shared_files.formats(connection)
    for bundle, seal_digest in bundles:
        shared_bundles.pull(paths, bundle, seal_digest)
    blobs.pull(paths, {f"attachments/{found.sha256}": found.sha256 for found in named})
    for format in formats:
        mappings.fetch(paths, format)
