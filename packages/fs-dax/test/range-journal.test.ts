/** Records of ranges, and what is believed of them. */
import { expect } from 'chai';
import { RangeJournal, rangeJournalBytes } from '../src/dax/range-journal.ts';
import { DAX_RANGE } from '../src/layout.ts';

const INDEX = 1;

describe('a journal of ranges', () => {
  const make = (): { journal: RangeJournal; words: Int32Array } => {
    const bytes = new Uint8Array(rangeJournalBytes(3));
    const journal = new RangeJournal(bytes);
    journal.place(INDEX, 2 ** 33 + 7, 2 ** 40 + DAX_RANGE, DAX_RANGE);
    journal.ask(INDEX, 8192);
    journal.have(INDEX, 1, 4096);
    journal.have(INDEX, 2, 8192);
    return { journal, words: new Int32Array(bytes.buffer, rangeJournalBytes(INDEX), rangeJournalBytes(1) / 4) };
  };
  const read = (journal: RangeJournal) => journal.read(INDEX, DAX_RANGE);

  it('says what was noted, and nothing once it is cleared', () => {
    const { journal } = make();
    const note = { nodeid: 2 ** 33 + 7, foffset: 2 ** 40 + DAX_RANGE, len: DAX_RANGE, ends: [4096, 8192], asked: 8192 };
    expect(read(journal)).to.deep.equal(note);
    expect([journal.read(0, DAX_RANGE), journal.read(2, DAX_RANGE)]).to.deep.equal([null, null]);
    journal.clear(INDEX);
    expect(read(journal)).to.equal(null);
  });

  for (const [what, word, value] of [
    ['an offset between pages', 2, 4095],
    ['an offset that ends beyond all files', 3, 0x1f_ffff],
    ['an offset that is no safe integer', 3, -1],
    ['a nodeid that is no safe integer', 1, -1],
    ['no length', 4, 0],
    ['a length below 0', 4, -1],
    ['a length beyond a range', 4, DAX_RANGE + 1],
    ['a piece too many', 5, 9],
    ['pieces below 0', 5, -1],
    ['a request beyond the range', 6, 513],
    ['a request below 0', 6, -1],
    ['a piece of no length', 9, 1],
    ['a piece beyond the range', 9, 513],
    ['a piece below 0', 8, -1],
  ] as const) {
    it(`is not believed with ${what}`, () => {
      const { journal, words } = make();
      if (word === 3) words[2] = -4096;
      words[word] = value;
      expect(read(journal)).to.equal(null);
    });
  }
});
