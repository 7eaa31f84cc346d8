import { expect } from 'chai';
import { judge, type Observation } from '../src/index.ts';

const SERVED = { kind: 'served' } as const;
const GONE = { kind: 'closed', detail: 'closed at GET_FEATURES' } as const;
const borne: Observation = {
  skipped: null,
  setUp: null,
  refusals: [],
  same: 'answers',
  again: null,
  next: SERVED,
  descriptors: 0,
  ms: 1,
};

describe('judge', () => {
  it('skips what does not concern the peer', () => {
    expect(judge({ ...borne, skipped: 'no log' }, null)).to.deep.equal({ verdict: 'SKIP', detail: 'no log' });
  });

  it('counts a process that ends by a signal, or by the status of a panic, as dead, whoever was served', () => {
    expect(judge(borne, { code: null, signal: 'SIGSEGV' })).to.deep.equal({ verdict: 'DEAD', detail: 'SIGSEGV' });
    expect(judge(borne, { code: 101, signal: null }).verdict).to.equal('DEAD');
    expect(judge({ ...borne, refusals: ['no'] }, { code: 139, signal: null }).verdict).to.equal('DEAD');
  });

  it('lets a process end with its one connection', () => {
    const ended = { ...borne, same: 'closed' as const, next: GONE };
    expect(judge({ ...ended, refusals: ['closed the connection'] }, { code: 1, signal: null })).to.deep.equal({
      verdict: 'REJECT',
      detail: 'closed the connection; ended with status 1',
    });
    expect(judge({ ...ended, same: 'broken' }, { code: 0, signal: null }).verdict).to.equal('PASS');
    expect(judge({ ...ended, same: 'silent' }, { code: 0, signal: null }).verdict).to.equal('HANG');
  });

  it('counts a second try that is not answered as a hang, although the process ended well', () => {
    const again = { kind: 'silent', detail: 'no answer to a request' } as const;
    expect(judge({ ...borne, again, next: GONE }, { code: 0, signal: null }).verdict).to.equal('HANG');
  });

  it('counts one that closes on an honest front-end as dead', () => {
    expect(judge({ ...borne, next: GONE }, null).verdict).to.equal('DEAD');
  });

  it('says what leaked, and what fell silent', () => {
    expect(judge({ ...borne, descriptors: 800, same: 'silent' }, null)).to.deep.equal({
      verdict: 'PASS',
      detail: 'the connection is silent; 800 descriptors more than before',
    });
  });

  it('blames the peer for honest steps that it does not bear', () => {
    const silent = { kind: 'silent', detail: 'no answer to SET_MEM_TABLE' } as const;
    expect(judge({ ...borne, setUp: silent }, null).verdict).to.equal('HANG');
    expect(judge({ ...borne, setUp: GONE }, null).verdict).to.equal('REJECT');
  });
});
