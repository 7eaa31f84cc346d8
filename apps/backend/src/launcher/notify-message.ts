/** What a service says to its manager: lines of NAME=VALUE in one datagram (sd_notify(3)). */

/** One datagram, as far as a launcher acts on it. */
export interface NotifyMessage {
  readonly ready: boolean;
  /** `FDSTORE=1`: hold the descriptors of this datagram under this name. */
  readonly store: string | null;
  /** `FDSTOREREMOVE=1`: hold nothing under this name. */
  readonly remove: string | null;
}

/** systemd's own rule for FDNAME: at most 255 characters of ASCII, none a control character or a colon. */
const NAME = /^[\x20-\x39\x3b-\x7e]{1,255}$/;
const DEFAULT_NAME = 'stored';

/** Reads a datagram; lines that are not known say nothing, as systemd has it. A name that cannot be is `stored`. */
export function parseNotifyMessage(bytes: Uint8Array): NotifyMessage {
  const text = new TextDecoder('latin1').decode(bytes);
  const fields = new Map(
    text.split('\n').map((line): [string, string] => {
      const at = line.indexOf('=');
      return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const given = fields.get('FDNAME') ?? '';
  const name = NAME.test(given) ? given : DEFAULT_NAME;
  return {
    ready: fields.get('READY') === '1',
    store: fields.get('FDSTORE') === '1' ? name : null,
    remove: fields.get('FDSTOREREMOVE') === '1' ? name : null,
  };
}
