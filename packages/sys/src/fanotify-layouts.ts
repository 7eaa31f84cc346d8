/** Structures of fanotify(7) (linux/fanotify.h). */
import { I32, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

/** `struct fanotify_event_metadata`, 24 bytes; information records may follow. */
export const FanotifyEvent = struct('fanotify_event_metadata', {
  eventLen: U32,
  vers: U8,
  reserved: pad(1),
  metadataLen: U16,
  mask: U64,
  fd: I32,
  pid: I32,
});

/** `struct fanotify_event_info_range` with its header, 24 bytes. */
export const FanotifyRange = struct('fanotify_event_info_range', {
  infoType: U8,
  headerPad: pad(1),
  len: U16,
  rangePad: pad(4),
  offset: U64,
  count: U64,
});

/** `struct fanotify_response`, 8 bytes. */
export const FanotifyResponse = struct('fanotify_response', { fd: I32, response: U32 });
