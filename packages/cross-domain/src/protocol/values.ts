/**
 * Numbers of the cross-domain protocol. No specification names them: rutabaga's cross_domain_protocol.rs is the norm, and
 * libkrun's differs where it says so.
 */

export const CROSS_DOMAIN_CAPSET_ID = 5;
/** In the capset's data. */
export const CROSS_DOMAIN_VERSION = 1;

/** Commands; what the guest sends, and RECEIVE, READ and SIGNAL to it. */
export const CROSS_DOMAIN_CMD_INIT = 1;
export const CROSS_DOMAIN_CMD_GET_IMAGE_REQUIREMENTS = 2;
export const CROSS_DOMAIN_CMD_POLL = 3;
export const CROSS_DOMAIN_CMD_SEND = 4;
export const CROSS_DOMAIN_CMD_RECEIVE = 5;
export const CROSS_DOMAIN_CMD_READ = 6;
export const CROSS_DOMAIN_CMD_WRITE = 7;
/** libkrun: FUTEX_NEW, FUTEX_SIGNAL (both ways), FUTEX_DESTROY. */
export const CROSS_DOMAIN_CMD_CREATE_SENTINEL = 8;
export const CROSS_DOMAIN_CMD_SIGNAL_SENTINEL = 9;
export const CROSS_DOMAIN_CMD_DESTROY_SENTINEL = 10;
/** rutabaga: READ_CREATE_EVENT. */
export const CROSS_DOMAIN_CMD_READ_EVENTFD_NEW = 11;
/** rutabaga. */
export const CROSS_DOMAIN_CMD_IMPORT_VIRTIOFS_HANDLE = 12;
/** libkrun: the same number. */
export const CROSS_DOMAIN_CMD_READ_EVENTFD_DESTROY = 12;
/** rutabaga. */
export const CROSS_DOMAIN_CMD_ASSIGN_SOCKET_UUID = 13;

/** Channel types: bits of the capset's data where they are below 32. */
export const CROSS_DOMAIN_CHANNEL_TYPE_NONE = 0;
export const CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND = 1;
export const CROSS_DOMAIN_CHANNEL_TYPE_CAMERA = 2;
export const CROSS_DOMAIN_CHANNEL_TYPE_PIPEWIRE = 0x10;
export const CROSS_DOMAIN_CHANNEL_TYPE_X11 = 0x11;
export const CROSS_DOMAIN_CHANNEL_TYPE_DBUS_SESSION = 0x12;
export const CROSS_DOMAIN_CHANNEL_TYPE_DBUS_SYSTEM = 0x13;
/** A socket that another context of the guest received: named by the uuid of INIT. */
export const CROSS_DOMAIN_CHANNEL_TYPE_INTERNAL_SOCKET = 0xffff_ffff;

/** Identifier types. */
export const CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB = 1;
export const CROSS_DOMAIN_ID_TYPE_VIRTGPU_SYNC = 2;
export const CROSS_DOMAIN_ID_TYPE_READ_PIPE = 3;
export const CROSS_DOMAIN_ID_TYPE_WRITE_PIPE = 4;
/** rutabaga: an eventfd; libkrun: the file of a futex. */
export const CROSS_DOMAIN_ID_TYPE_EVENT = 5;
export const CROSS_DOMAIN_ID_TYPE_SHM = 5;
/** rutabaga: an imported handle; libkrun: an eventfd. */
export const CROSS_DOMAIN_ID_TYPE_VIRTIO_FS_BLOB = 6;
export const CROSS_DOMAIN_ID_TYPE_EVENTFD = 6;
/** rutabaga. */
export const CROSS_DOMAIN_ID_TYPE_SOCKET = 7;

/** Fence rings of a context. */
export const CROSS_DOMAIN_QUERY_RING = 0;
export const CROSS_DOMAIN_CHANNEL_RING = 1;

/** Identifiers in a SEND or RECEIVE: of today, and of programs before 2023. */
export const CROSS_DOMAIN_MAX_IDENTIFIERS = 28;
export const CROSS_DOMAIN_OLD_MAX_IDENTIFIERS = 4;

/** Guests copy a RECEIVE into a buffer of this size, bytes. */
export const CROSS_DOMAIN_BUFFER_SIZE = 4096;
