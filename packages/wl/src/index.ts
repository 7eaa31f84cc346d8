/**
 * The Wayland wire format: messages, the interfaces of known protocols, objects by their ids.
 * @packageDocumentation
 */
export { ArgumentReader } from './argument-reader.ts';
export { type ArgumentValue, encodeMessage } from './encode.ts';
export { WlError, type WlErrorCode } from './errors.ts';
export {
  type Argument,
  type ArgumentKind,
  type Interface,
  interfaceNames,
  interfaceOf,
  type Message,
} from './interfaces.ts';
export { DISPLAY_ID, FIRST_SERVER_ID, MAX_MESSAGE_LEN, WlHeader } from './layout.ts';
export { MessageStream } from './message-stream.ts';
export { ObjectTable, type Side } from './object-table.ts';
export type { InterfaceTable, MessageLine, ProtocolTable } from './protocol-table.ts';
