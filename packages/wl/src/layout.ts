/** The head of every message (Wayland protocol, "Wire Format"): native byte order, so little-endian here. */
import { struct, U16, U32 } from '@oriel/layout';

/** Object, opcode, and the size of the whole message in bytes. */
export const WlHeader = struct('wl_header', { objectId: U32, opcode: U16, size: U16 });

/** The longest message that `size` can say. */
export const MAX_MESSAGE_LEN = 65532;

/** `wl_display`: there from the start. */
export const DISPLAY_ID = 1;

/** Ids from here on are made by the server. */
export const FIRST_SERVER_ID = 0xff00_0000;
