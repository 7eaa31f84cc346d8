/** The message table by name. */
import { FRONTEND_MESSAGES, type FrontendMessageName, type MessageSpec } from '@oriel/vhost-user';

const SPECS = new Map<string, MessageSpec>(FRONTEND_MESSAGES.map((spec) => [spec.name, spec]));

/** The line of a message. */
export function specOf(name: FrontendMessageName): MessageSpec {
  return SPECS.get(name)!;
}
