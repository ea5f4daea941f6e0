"""One linear programme that is asked many times: how far can these unknowns move together, given what is known?"""

import highspy
import numpy as np

from facts.disclosure.panel import Floats, Ints

PULL = 1e4  # worth of a step of the aim against a step of any other unknown; see `reach`
GIVE = 10.0  # cost of a step by which a shown row is broken, for each unit of its weight; see `give_up`


class Programme:
    """Rows Σ a·z within [low, high] over moves z of the unknowns away from the truth, so that z = 0 always holds.

    Each unknown is a pair z = z⁺ − z⁻ of non-negative columns: unknowns that need not move stay at zero exactly, and a
    solution names few. Dual simplex without presolve, from the slack basis each time: about 4 ms for 1,200 unknowns.
    """

    def __init__(self, row: Ints, column: Ints, coefficient: Floats, low: Floats, high: Floats, columns: int) -> None:
        """row, column, coefficient : entries of the matrix. low, high : (rows,) in the data's unit, low ≤ 0 ≤ high."""
        self.columns, self.rows, self.solves = columns, len(low), 0
        self.low, self.high, self.active = low, high, np.ones(len(low), dtype=bool)
        self._loose = np.flatnonzero((low != 0) | (high != 0)).astype(np.int32)
        self._width = 2 * columns + 2 * self.rows  # the pairs of unknowns, then a pair of breaks for each row
        self._every = np.arange(self._width, dtype=np.int32)
        breaks = np.arange(self.rows, dtype=np.int32)
        order = np.lexsort((row, column))
        row, column, coefficient = row[order], column[order], coefficient[order]
        start = np.searchsorted(column, np.arange(columns + 1))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self._width, self.rows
        lp.col_cost_ = np.zeros(self._width)
        lp.col_lower_, lp.col_upper_ = np.zeros(self._width), np.zeros(self._width)
        lp.row_lower_, lp.row_upper_ = low, high
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        ends = np.concatenate([start, start[1:] + len(row), 2 * len(row) + 1 + np.arange(2 * self.rows)])
        lp.a_matrix_.start_ = ends.astype(np.int32)
        lp.a_matrix_.index_ = np.concatenate([row, row, breaks, breaks]).astype(np.int32)
        ones = np.ones(self.rows)
        lp.a_matrix_.value_ = np.concatenate([coefficient, -coefficient, ones, -ones])
        lp.sense_ = highspy.ObjSense.kMaximize
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        options: list[tuple[str, bool | str | int]] = [
            ("output_flag", False),
            ("presolve", "off"),
            ("solver", "simplex"),
            ("simplex_strategy", 1),  # dual, always from the slack basis: 20 steps, against 200 from the last solution
            ("threads", 1),
        ]
        for option, value in options:
            self._highs.setOptionValue(option, value)
        self._highs.passModel(lp)

    def set_row(self, row: int, active: bool) -> None:
        """Show a row to the attacker, or take it away."""
        self.active[row] = active
        free = highspy.kHighsInf
        low, high = (self.low[row], self.high[row]) if active else (-free, free)
        self._highs.changeRowBounds(row, low, high)

    def reach(self, aim: Ints, sign: int, need: float, down: Floats, fixed: Ints, unit: float) -> tuple[float, Floats]:
        """Return (sign · Σ z over the aim, at most `need`; z), both in the data's unit.

        aim : columns that are to move. down : (columns,) how far each may fall, ≥ 0. fixed : columns that may not move.
        unit : size of what is at stake; everything is solved in it. Among the ways to get as far, one that moves little
        else is preferred, at the exchange `PULL`: a solution is then a short list of unknowns.
        """
        found = self._solve(aim, sign, need, down, fixed, unit, PULL, np.zeros(self.rows))
        z = (found[: self.columns] - found[self.columns : 2 * self.columns]) * unit
        z[np.abs(z) < 1e-9 * unit] = 0.0
        return float(sign * z[aim].sum()), z

    def give_up(
        self, aim: Ints, sign: int, need: float, down: Floats, fixed: Ints, unit: float, weight: Floats
    ) -> tuple[bool, Ints]:
        """Return (whether that is enough, the rows that must go so that the aim moves by `need`), at little weight.

        weight : (rows,) what each row costs, 0 where it cannot be dropped. Rows may be broken at a cost of weight ×
        size of the break; those that are broken suffice, though fewer might: the choice is linear where the true cost
        is by the row.
        """
        pull = PULL * GIVE * max(1.0, float(weight.max(initial=0.0)))
        found = self._solve(aim, sign, need, down, fixed, unit, pull, weight * self.active)
        z = found[: self.columns] - found[self.columns : 2 * self.columns]
        broken = np.abs(found[2 * self.columns :].reshape(2, -1)).max(axis=0, initial=0.0) > 1e-9
        return bool(sign * z[aim].sum() >= need / unit - 1e-6), np.flatnonzero(broken)

    def _solve(
        self, aim: Ints, sign: int, need: float, down: Floats, fixed: Ints, unit: float, pull: float, weight: Floats
    ) -> Floats:
        self.solves += 1
        up = np.full(self.columns, highspy.kHighsInf)
        down = np.minimum(down / unit, 1e7)
        (up if sign > 0 else down)[aim] = np.minimum((up if sign > 0 else down)[aim], max(need, 0.0) / unit)
        up[fixed] = down[fixed] = 0.0
        loose = np.where(weight > 0, highspy.kHighsInf, 0.0)
        upper = np.concatenate([up, down, loose, loose])
        cost = np.concatenate([np.full(2 * self.columns, -1.0), -GIVE * weight, -GIVE * weight])
        cost[aim] += sign * pull
        cost[aim + self.columns] -= sign * pull
        self._highs.changeColsCost(self._width, self._every, cost)
        self._highs.changeColsBounds(self._width, self._every, np.zeros(self._width), upper)
        for row in self._loose[self.active[self._loose]]:
            self._highs.changeRowBounds(int(row), self.low[row] / unit, self.high[row] / unit)
        self._highs.clearSolver()
        self._highs.run()
        if (status := self._highs.getModelStatus()) != highspy.HighsModelStatus.kOptimal:
            raise ArithmeticError(f"A programme of {self.rows} rows ended {status}, not optimal: check its values.")
        return np.array(self._highs.getSolution().col_value)
