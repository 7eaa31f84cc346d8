/** fanotify(7) (linux/fanotify.h). C names and values. */

// fanotify_init
export const FAN_CLOEXEC = 0x1;
export const FAN_NONBLOCK = 0x2;
/** The class that is asked before a file's content is used or cut. */
export const FAN_CLASS_PRE_CONTENT = 0x8;
export const FAN_UNLIMITED_QUEUE = 0x10;
export const FAN_UNLIMITED_MARKS = 0x20;
/** Events name the thread, not the process. */
export const FAN_REPORT_TID = 0x100;

// fanotify_mark
export const FAN_MARK_ADD = 0x1;
export const FAN_MARK_REMOVE = 0x2;

// Events
export const FAN_MODIFY = 0x2;
export const FAN_CLOSE_WRITE = 0x8;
export const FAN_Q_OVERFLOW = 0x4000;
export const FAN_OPEN_PERM = 0x1_0000;
/** Linux 6.14: before read, write, mmap, truncate and fallocate; ext4, xfs, btrfs and bcachefs. */
export const FAN_PRE_ACCESS = 0x10_0000;

/** `vers` of an event. */
export const FANOTIFY_METADATA_VERSION = 3;
/** An information record with the range of bytes. */
export const FAN_EVENT_INFO_TYPE_RANGE = 6;

// Responses
export const FAN_ALLOW = 0x1;
export const FAN_DENY = 0x2;
/** The errno of a refusal stands in the top byte (Linux 6.13, class PRE_CONTENT). */
export const FAN_ERRNO_SHIFT = 24;
