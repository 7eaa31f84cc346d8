/** What other devices of the VM lend to cross-domain contexts: files by the handles that a virtio-fs device exported. */
import type { EventLoop, Fd } from '@oriel/sys';

/** A file as the guest names it: two 64-bit numbers. */
export interface ExportedHandle {
  readonly fsIdLo: number;
  readonly fsIdHi: number;
  readonly handleLo: number;
  readonly handleHi: number;
}

/** The 32-bit word at the start of a file that host programs wait for with futex(2). */
export interface Sentinel extends Disposable {
  /** The file, lent. */
  readonly fd: number;
  /** Wakes those who wait for the word. */
  signal(): void;
}

/** Given to a `CrossDomainContextType` by an app that also has a virtio-fs device. Nothing here may block. */
export interface HandleExporter {
  /** The file of a handle, given away; or a negative errno. */
  open(handle: ExportedHandle): Fd | number;
  /**
   * Watches the word of a file.
   * @param changed - called on `loop` when the word was changed, or its waiters were woken
   * @returns a negative errno where that cannot be
   */
  watch(handle: ExportedHandle, loop: EventLoop, changed: () => void): Sentinel | number;
}
