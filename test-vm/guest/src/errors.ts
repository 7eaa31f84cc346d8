/** What went wrong in the guest harness; every message carries what a person needs to see next. */

/**
 * - `ERR_GUEST_UNSUPPORTED`: this machine cannot have a guest (no apt, no mirror, not x86-64): skip, and say so.
 * - `ERR_GUEST_SETUP`: the set-up failed half-way; running it again redoes it.
 * - `ERR_GUEST_TIMEOUT`: a wait ran out; the guest is in an unknown state, kill it.
 * - `ERR_GUEST_EXITED`: QEMU or a daemon ended while something was awaited.
 * - `ERR_GUEST_COMMAND`: a command of the guest or the host answered with a failure.
 * - `ERR_GUEST_QMP`: QEMU refused a QMP command.
 */
export type GuestErrorCode =
  | 'ERR_GUEST_UNSUPPORTED'
  | 'ERR_GUEST_SETUP'
  | 'ERR_GUEST_TIMEOUT'
  | 'ERR_GUEST_EXITED'
  | 'ERR_GUEST_COMMAND'
  | 'ERR_GUEST_QMP';

/** The one error class of the harness. */
export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly code: GuestErrorCode;

  constructor(code: GuestErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** The start of a script on one line, for error messages. */
export function brief(script: string): string {
  const line = script.trim().replaceAll('\n', '; ');
  return line.length <= 300 ? line : `${line.slice(0, 300)}...`;
}

/** The last `count` lines of a text, 4000 characters at most, for error messages. */
export function tail(text: string, count = 25): string {
  return text.trimEnd().split('\n').slice(-count).join('\n').slice(-4000);
}
