/** The move of a device's session to another host, or from there to here: one transfer at a time. */
import type { FilesystemMigration, FuseSession } from '@oriel/fuse';
import type { Fd, Logger } from '@oriel/sys';
import { receiveState, sendState, type TransferHost } from '@oriel/virtio-device';
import { FsStateSink } from './state-sink.ts';
import { FsStateSource } from './state-source.ts';

export class DeviceMigration {
  readonly #session: FuseSession;
  readonly #migration: FilesystemMigration;
  readonly #log: Logger;
  #transfer: Disposable | null = null;

  constructor(session: FuseSession, migration: FilesystemMigration, log: Logger) {
    this.#session = session;
    this.#migration = migration;
    this.#log = log;
  }

  /** Tells the session. @param to - given away */
  save(host: TransferHost, to: Fd, done: (ok: boolean) => void): void {
    const source = new FsStateSource(this.#session, () => this.#migration.save());
    this.#transfer = sendState(host, to, source, (ok) => this.#ended(ok, done));
  }

  /** Takes a session; nothing but the root is known. @param from - given away */
  load(host: TransferHost, from: Fd, done: (ok: boolean) => void): void {
    const sink = new FsStateSink(this.#session, () => this.#migration.load(), this.#log);
    this.#transfer = receiveState(host, from, sink, (ok) => this.#ended(ok, done));
  }

  /** Ends a transfer under way, which is told so. */
  stop(): void {
    this.#transfer?.[Symbol.dispose]();
  }

  #ended(ok: boolean, done: (ok: boolean) => void): void {
    this.#transfer = null;
    done(ok);
  }
}
