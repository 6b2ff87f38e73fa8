"""One tenant of a home, made once at the edge (a command, a request, a step of the worker) and passed on from there.

Does not belong here: making tenants and finding them (tenancy), who may act for them (access), instants: when something
happens is a fact of a call, and stays an argument.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from zentra_pipeline import blobs
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import engine, leases, shared_files


@dataclass(frozen=True)
class Tenant:
    """A tenant's name, home and folders, and the way to its operational store.

    `paths` are the tenant's own below its home; where evidence is made again they are those of a workspace.
    """

    home: Home
    name: str
    paths: TenantPaths

    @classmethod
    def of(cls, home: Home, name: str) -> "Tenant":
        """The tenant of this name, which need not exist (see tenancy.require_tenant); UsageError where it cannot."""
        return cls(home, name, home.tenant(name))

    @property
    def store(self) -> Engine:
        """The operational store, made and migrated when needed; found each time, as its file may have been replaced."""
        return engine.operational_store(self.paths)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for queries: one consistent snapshot, no lock taken; a write through it fails.

        The files that it names for readers are in the tenant's folder.
        """
        return shared_files.reading(self.paths)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start and is committed at its end, or taken back.

        UnavailableError, and nothing is written, where a lease that the caller holds (store.leases) is lost.
        """
        with self.store.begin() as connection:
            leases.require_held(connection, self.paths)
            yield connection

    @contextmanager
    def holding(self, *names: str) -> Iterator[None]:
        """Hold these locks, waiting for whoever has one; whoever needs several names them in order of names.

        The files that others recorded until then are in the tenant's folder.
        """
        with leases.holding(self.paths, *names):
            if blobs.are_shared(self.paths):
                with self.reading():
                    pass
            yield
