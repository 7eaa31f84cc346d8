/** Whoever launched this process, systemd or `--restart`: what it held is shared out between the devices. */
import type { Logger, Sys } from '@oriel/sys';
import { type LauncherTerms, launcherTerms, type NotifyStore, openNotifyStore } from '@oriel/virtio-device';

/** The launcher as the main thread has it. */
export class Launcher implements Disposable {
  readonly #terms: LauncherTerms;
  readonly #names: readonly string[];
  readonly #store: NotifyStore;

  /** @param names - of the devices; what the launcher holds for others is dropped @throws SysError */
  constructor(sys: Sys, terms: LauncherTerms, names: readonly string[], log: Logger) {
    this.#terms = terms;
    // Names may have dots in them: the longest one that fits is meant.
    this.#names = [...names].sort((a, b) => b.length - a.length);
    const strangers = terms.received.filter(({ name }) => this.#ownerOf(name) === undefined);
    this.#store = openNotifyStore({ ...terms, received: strangers }, { sys, log })!;
    for (const { name } of strangers) {
      this.#store.remove(name);
    }
  }

  /** What a device's thread is told. */
  termsOf(device: string): LauncherTerms {
    const received = this.#terms.received.filter(({ name }) => this.#ownerOf(name) === device);
    return { notifySocket: this.#terms.notifySocket, received };
  }

  /** See `NotifyStore.tell`. */
  tell(text: string): void {
    this.#store.tell(text);
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #ownerOf(held: string): string | undefined {
    return this.#names.find((name) => held.startsWith(`${name}.`));
  }
}

/** Reads what the environment says of a launcher. @returns null when there is none @throws SysError */
export function openLauncher(sys: Sys, names: readonly string[], log: Logger): Launcher | null {
  const terms = launcherTerms(process.env, process.pid);
  return terms.notifySocket === undefined ? null : new Launcher(sys, terms, names, log);
}
