/** What docs/design/survival.md says of a host that does, between a kill and the next process, what the guest had asked for. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplyDecoder } from '@oriel/fuse/client';
import { EEXIST, ENOENT, O_APPEND, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { Survivor } from './support/survivor.ts';

const ROOT = 1;
const TEXT = Buffer.from('guest');

/** What a life ended with. */
interface Outcome {
  readonly error: number;
  /** The host did it, and not the dead process. */
  readonly byHost: boolean;
}

describe('a host that is faster than the process that goes on', () => {
  let base: string;
  checkLeaks();
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'oriel-ambiguous-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  /** Kills at each step of a request. @param host - says whether it did something */
  const outcomes = (
    ask: (survivor: Survivor) => Uint8Array | undefined,
    host: (dir: string) => boolean,
    look: (dir: string, outcome: Outcome) => void = () => {},
  ): Set<string> => {
    const seen = new Set<string>();
    let steps = 1;
    for (let step = 0; step <= steps; step++) {
      const dir = join(base, `step${step}`);
      mkdirSync(dir);
      writeFileSync(join(dir, 'file'), 'text');
      writeFileSync(join(dir, 'other'), 'another');
      using survivor = new Survivor(dir);
      const data = ask(survivor);
      if (step === 0) {
        steps = survivor.stepsOf(survivor.request, data).steps;
        continue;
      }
      let byHost = false;
      const reply: ReplyDecoder = survivor.killedAt(step, survivor.request, data, () => {
        byHost = host(dir);
      });
      look(dir, { error: reply.error, byHost });
      seen.add(`${byHost ? 'host' : 'guest'} ${reply.error}`);
    }
    return seen;
  };

  it('makes a directory of the same owner: it passes for the own one once that was noted', () => {
    const seen = outcomes(
      ({ request }) => void request.mkdir(ROOT, 'new', 0o755),
      (dir) => {
        const made = !existsSync(join(dir, 'new'));
        if (made) mkdirSync(join(dir, 'new'));
        return made;
      },
    );
    expect([...seen]).to.have.members([`host ${EEXIST}`, 'host 0', 'guest 0']);
  });

  it('removes the file: it passes for the own removal once that was noted', () => {
    const seen = outcomes(
      ({ request }) => void request.unlink(ROOT, 'file'),
      (dir) => {
        const there = existsSync(join(dir, 'file'));
        rmSync(join(dir, 'file'), { force: true });
        return there;
      },
    );
    expect([...seen]).to.have.members([`host ${ENOENT}`, 'host 0', 'guest 0']);
  });

  it('puts another file where one was removed: that one stays', () => {
    outcomes(
      ({ request }) => void request.unlink(ROOT, 'file'),
      (dir) => {
        const gone = !existsSync(join(dir, 'file'));
        if (gone) renameSync(join(dir, 'other'), join(dir, 'file'));
        return gone;
      },
      (dir, { error, byHost }) => {
        expect(error).to.equal(0);
        expect(existsSync(join(dir, 'file'))).to.equal(byHost);
      },
    );
  });

  it('appends behind the noted end: the guest’s bytes stand there once', () => {
    const times = new Set<number>();
    outcomes(
      (survivor) => {
        const { request } = survivor;
        const { nodeid } = survivor.call(request.lookup(ROOT, 'file')).readEntry();
        const { fh } = survivor.call(request.open(nodeid, O_RDWR));
        request.write(nodeid, fh, 0, TEXT.length, O_RDWR | O_APPEND);
        return TEXT;
      },
      (dir) => {
        appendFileSync(join(dir, 'file'), 'HOST');
        return true;
      },
      (dir, { error }) => {
        expect(error).to.equal(0);
        const content = readFileSync(join(dir, 'file'), 'utf8');
        expect(content.replaceAll('guest', '')).to.equal('textHOST');
        times.add(content.split('guest').length - 1);
      },
    );
    expect([...times]).to.deep.equal([1]);
  });
});
