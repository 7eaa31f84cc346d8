/** Each message of the table with a payload and descriptors that it must not have, and as the first one of a connection. */
import { FRONTEND_MESSAGES, type FrontendMessageName, type MessageSpec } from '@oriel/vhost-user';
import { type Clause, clausesOf } from '../clause.ts';
import type { Session } from '../session.ts';

const SOURCE = 'vhost-user: Front-end message types';
/** Sizes from here on are those of the stream's clauses. */
const LONGEST = 2048;
const EMPTY_VIEW = new DataView(new ArrayBuffer(LONGEST));

/** Descriptors that belong to a payload of zeroes. */
function rightFds({ fds }: MessageSpec): number {
  return fds.count === undefined ? fds.min : fds.count(EMPTY_VIEW);
}

function send(session: Session, spec: MessageSpec, size: number, fdCount: number): void {
  const fds = Array.from({ length: fdCount }, () => session.eventfd());
  session.tell(spec.name as FrontendMessageName, new Uint8Array(size), fds);
}

function clausesOfMessage(spec: MessageSpec): Clause[] {
  const clause = clausesOf(`message/${spec.name}`, 'memory', SOURCE);
  const { min, max } = spec.payload;
  const fds = rightFds(spec);
  const clauses: Clause[] = [
    clause('first', `${spec.name} of zeroes before anything else`, (session) => send(session, spec, min, fds), {
      stage: 'connected',
    }),
    clause('extra-fd', `${spec.name} with ${Math.max(spec.fds.max, fds) + 1} descriptors`, (session) =>
      send(session, spec, min, Math.max(spec.fds.max, fds) + 1),
    ),
  ];
  if (min > 0) {
    clauses.push(
      clause('short', `${spec.name} with ${min - 1} bytes, wants ${spec.payload.sizes}`, (session) =>
        send(session, spec, min - 1, fds),
      ),
    );
  }
  if (max < LONGEST) {
    clauses.push(
      clause('long', `${spec.name} with ${max + 1} bytes, wants ${spec.payload.sizes}`, (session) =>
        send(session, spec, max + 1, fds),
      ),
    );
  }
  if (fds > 0) {
    clauses.push(clause('no-fd', `${spec.name} without its descriptor`, (session) => send(session, spec, min, 0)));
  }
  return clauses;
}

/** In the order in which they are run. */
export const messageClauses = FRONTEND_MESSAGES.flatMap((spec: MessageSpec) => clausesOfMessage(spec));
