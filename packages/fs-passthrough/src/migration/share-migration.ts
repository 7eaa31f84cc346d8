/** How the sessions of a share move to another host. */
import type { FilesystemMigration, StateRecords, StateTaker } from '@oriel/fuse';
import type { Share } from '../share.ts';
import type { MigrationOptions } from './options.ts';
import { ShareRecords } from './share-records.ts';
import { ShareTaker } from './share-taker.ts';

export class ShareMigration implements FilesystemMigration {
  readonly #share: Share;
  readonly #options: Required<MigrationOptions>;

  constructor(share: Share, { mode = 'find-paths', onError = 'abort', verifyHandles = false }: MigrationOptions) {
    this.#share = share;
    this.#options = { mode, onError, verifyHandles };
  }

  save(): StateRecords {
    return new ShareRecords(this.#share, this.#options);
  }

  load(): StateTaker {
    return new ShareTaker(this.#share, this.#options);
  }
}
