"""The Triton kernel of `engine.sampling.fused_draw`; importing it takes Triton."""

import triton
import triton.language as tl


@triton.jit
def scores_at(logits, banned, row, first, vocab, BLOCK: tl.constexpr):
    """Load the scores of BLOCK tokens of a row, and their ids; a banned one has -inf."""
    at = first + tl.arange(0, BLOCK)
    x = tl.load(logits + row * vocab + at, mask=at < vocab, other=float("-inf")).to(tl.float32)
    out = tl.load(banned + at, mask=at < vocab, other=1)
    # the two zeros are one number
    return tl.where(out != 0, float("-inf"), tl.where(x == 0, 0.0, x)), at


@triton.jit
def order_of(x):
    """Map float32 to whole numbers from 0 on in the same order."""
    bits = x.to(tl.int32, bitcast=True)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.int64) + 2147483648


@triton.jit
def weights_of(x, peak, sharp):
    return tl.exp((x.to(tl.float64) - peak) * sharp)


@triton.jit
def draw_rows(
    logits, banned, uniforms, settings, ids, held, failed, vocab,
    NUCLEUS: tl.constexpr, INCLUSIVE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Draw a token of one row.  settings: float64 [2], top_p and 1 / temperature; failed: int32, 1 for no numbers."""
    row = tl.program_id(0).to(tl.int64)
    top_p, sharp = tl.load(settings), tl.load(settings + 1)
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    odd = tl.full([BLOCK], 0, tl.int32)
    for first in range(0, vocab, BLOCK):
        x, at = scores_at(logits, banned, row, first, vocab, BLOCK)
        odd = odd | (x != x).to(tl.int32) | (x == float("inf")).to(tl.int32)
        top = tl.where(x > top, x, top)
    peak = tl.max(top, 0).to(tl.float64)
    bad = (tl.max(odd, 0) > 0) | (peak == float("-inf"))
    sums = tl.full([BLOCK], 0, tl.float64)
    for first in range(0, vocab, BLOCK):
        x, at = scores_at(logits, banned, row, first, vocab, BLOCK)
        sums += weights_of(x, peak, sharp)
    limit = top_p * tl.sum(sums, 0)
    least = tl.full([16], 0, tl.int64)
    greater = 0.0 * limit
    if NUCLEUS:
        # the largest number from which on the weights sum to more than the limit: the last logit of the nucleus
        digits = tl.arange(0, 16).to(tl.int64)
        for digit in range(8):
            thresholds = least + (digits << (28 - 4 * digit))
            beyond = tl.full([16], 0, tl.float64)
            for first in range(0, vocab, BLOCK):
                x, at = scores_at(logits, banned, row, first, vocab, BLOCK)
                inside = order_of(x)[None, :] >= thresholds[:, None]
                beyond += tl.sum(tl.where(inside, weights_of(x, peak, sharp)[None, :], 0.0), 1)
            if INCLUSIVE:
                reached = (beyond >= limit).to(tl.int64)
            else:
                reached = (beyond > limit).to(tl.int64)
            best = tl.sum(reached, 0) - 1
            least += tl.where(best > 0, best, 0) << (28 - 4 * digit)
        above = tl.full([BLOCK], 0, tl.float64)
        for first in range(0, vocab, BLOCK):
            x, at = scores_at(logits, banned, row, first, vocab, BLOCK)
            above += tl.where(order_of(x) > tl.max(least, 0), weights_of(x, peak, sharp), 0.0)
        greater = tl.sum(above, 0)
    last_order = tl.max(least, 0)
    # where nothing lies above, the first of the equal ones stays whatever its weight
    alone = tl.where(greater > 0.0, 0, 1)
    u = tl.load(uniforms + row)
    total = 0.0 * limit
    target = 0.0 * limit
    hit = vocab + 0 * row
    last = 0 * row
    # what lies above the last logit is kept whole; of those equal to it, the lower ids, while there is room
    for turn in range(2):
        base = 0.0 * limit
        ties = 0 * row
        for first in range(0, vocab, BLOCK):
            x, at = scores_at(logits, banned, row, first, vocab, BLOCK)
            e = weights_of(x, peak, sharp)
            if NUCLEUS:
                order = order_of(x)
                tied = (order == last_order).to(tl.int64)
                rank = ties + tl.cumsum(tied, 0)
                if INCLUSIVE:
                    room = greater + (rank - 1).to(tl.float64) * e < limit
                else:
                    room = (greater + rank.to(tl.float64) * e <= limit) | (rank == alone)
                e = tl.where((order > last_order) | ((tied > 0) & room), e, 0.0)
                ties += tl.sum(tied, 0)
            if turn == 1:
                passed = (base + tl.cumsum(e, 0) > target) & (e > 0.0)
                here = tl.min(tl.where(passed, at, vocab), 0).to(tl.int64)
                hit = tl.where(here < hit, here, hit)
                kept = tl.max(tl.where(e > 0.0, at, -1), 0).to(tl.int64)
                last = tl.where(kept > last, kept, last)
            base += tl.sum(e, 0)
        if turn == 0:
            total = base
            target = u * base
    # rounding may leave the target beyond the last token: then it is that one
    chosen = tl.where(hit < vocab, hit, last)
    x = tl.load(logits + row * vocab + chosen).to(tl.float32)
    tl.store(ids + row, chosen)
    tl.store(held + row, weights_of(x, peak, sharp) / total)
    tl.store(failed + row, bad.to(tl.int32))
