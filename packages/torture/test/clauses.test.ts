import { FRONTEND_MESSAGES } from '@oriel/vhost-user';
import { expect } from 'chai';
import fc from 'fast-check';
import { allClauses, deviceClauses, knownDevices, selectClauses } from '../src/index.ts';
import { matches } from '../src/select.ts';

const every = [...allClauses(null), ...knownDevices.flatMap(deviceClauses)];

describe('the clauses', () => {
  it('have names of their own, a source and words for what is sent', () => {
    expect(new Set(every.map(({ id }) => id)).size).to.equal(every.length);
    for (const { id, source, sent } of every) {
      expect(id).to.match(/^[a-z-]+(\/[A-Za-z_0-9-]+)+$/);
      expect(
        [source.length, sent.length].every((length) => length > 3),
        id,
      ).to.equal(true);
    }
  });

  it('stand for the CVEs of other back-ends', () => {
    const cves = new Set(every.map(({ source }) => source).filter((source) => source.startsWith('CVE-')));
    for (const cve of [
      '2018-1059',
      '2019-14818',
      '2019-14835',
      '2020-10722',
      '2020-10723',
      '2020-10725',
      '2020-10726',
      '2020-14378',
      '2021-3544',
      '2021-3545',
      '2021-3546',
      '2021-3839',
      '2022-0669',
      '2022-2132',
    ]) {
      expect([...cves]).to.include(`CVE-${cve}`);
    }
  });

  it('send each message of the table wrongly', () => {
    const names = selectClauses(every, 'message/*/first').map(({ id }) => id.split('/')[1]);
    expect(names).to.deep.equal(FRONTEND_MESSAGES.map(({ name }) => name));
  });
});

describe('matches', () => {
  it('finds a part, or a whole name with stars', () => {
    expect(matches('memory/gpa-wraps', 'gpa')).to.equal(true);
    expect(matches('memory/gpa-wraps', 'memory/*')).to.equal(true);
    expect(matches('memory/gpa-wraps', '*wraps')).to.equal(true);
    expect(matches('memory/gpa-wraps', 'm*gpa*s')).to.equal(true);
    expect(matches('memory/gpa-wraps', 'gpa*')).to.equal(false);
    expect(matches('memory/gpa-wraps', '*gpa')).to.equal(false);
    expect(matches('aa', 'aa*aa')).to.equal(false);
  });

  it('agrees with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(text, pattern, (id, glob) => {
        const whole = glob.includes('*') ? `^${glob.replaceAll('*', '.*')}$` : glob;
        expect(matches(id, glob)).to.equal(new RegExp(whole).test(id));
      }),
    );
  });
});
