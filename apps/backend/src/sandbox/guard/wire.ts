/**
 * What a device in a sandbox and the keeper outside tell each other, over two stream sockets: calls, each of which waits for its
 * reply; and events, with the answers to those that are questions. Numbers of watches and questions are never used again.
 */
import { bytes, I32, struct, U32, U64 } from '@oriel/layout';

/** What a call asks for. */
export const Call = {
  /** A watch on behalf of thread `value` of the device, and of the front-end whose socket comes along; the one before ends. */
  OPEN: 1,
  CLOSE: 2,
  /** Watches the file of the descriptor that comes along, under the number `id`. */
  WATCH: 3,
  UNWATCH: 4,
  /** What the device's process has mapped at address `value`. */
  NAME: 5,
  /** Bytes of the file `name` behind offset `value` that the front-end has mapped. */
  MAPPED: 6,
} as const;

/** From the device. `name` is as /proc/PID/maps has it, padded by NUL. */
export const GuardCall = struct('oriel_guard_call', { kind: U32, id: U32, value: U64, name: bytes(48) });

/** To the device: `errno` is 0 or negative; `known` 0 where nothing can be told. */
export const GuardReply = struct('oriel_guard_reply', { errno: I32, known: U32, value: U64, name: bytes(48) });

/** What has happened to a watched file. */
export const Happening = { TRUNCATING: 1, TRUNCATED: 2, CHANGED: 3 } as const;

/** To the device: see `FileGuard`. `flag` is `sure` or `settled`. */
export const GuardEvent = struct('oriel_guard_event', { kind: U32, watch: U32, question: U32, flag: U32, size: U64 });

/** From the device, for a `TRUNCATING`: 0 refuses it (ETXTBSY). */
export const GuardAnswer = struct('oriel_guard_answer', { question: U32, allowed: U32 });

/** Reads `name` of a call or reply. */
export function readName(message: Uint8Array, at: number): string {
  return new TextDecoder('latin1').decode(message.subarray(at, at + GuardCall.name.size)).replace(/\0+$/, '');
}

/** Writes it. */
export function writeName(message: Uint8Array, at: number, name: string): void {
  message.fill(0, at, at + GuardCall.name.size);
  new TextEncoder().encodeInto(name, message.subarray(at, at + GuardCall.name.size));
}
