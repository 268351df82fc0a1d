// From a score to a verdict, for any false-alarm rate: what ltad/judging/calibration.py says, without asking the server.
// A calibration holds the scores of held-out normal images, ascending: `own` of the class, `all` of every class.

const smallestRate = (normals) => 1 / (normals.length + 1);

/** The scores to compare with at a rate: those of all classes where the class has too few to promise it. */
function normalsAt(calibration, rate) {
  return smallestRate(calibration.own) <= rate
    ? { normals: calibration.own, borrowed: false }
    : { normals: calibration.all, borrowed: true };
}

/** The score that a normal image exceeds with probability `rate` at most. */
function thresholdAt(normals, rate) {
  const above = Math.floor(rate * (normals.length + 1) + 1e-9) - 1;
  return normals[normals.length - 1 - Math.min(above, normals.length - 1)];
}

function judge(score, calibration, rate) {
  const { normals, borrowed } = normalsAt(calibration, rate);
  const promised = Math.max(rate, smallestRate(normals));
  const threshold = thresholdAt(normals, promised);
  const atLeast = normals.filter((normal) => normal >= score).length;
  const pValue = (1 + atLeast) / (normals.length + 1);
  const verdict = score > threshold ? "defect" : pValue <= CONSTANTS.borderline * promised ? "borderline" : "ok";
  return { verdict, pValue, threshold, promised, borrowed, normals };
}

/** The rate at which the threshold stands at a score, as nearly as the normals allow. */
function rateAt(score, calibration, rate) {
  const { normals } = normalsAt(calibration, rate);
  const above = normals.filter((normal) => normal > score).length;
  return Math.min(CONSTANTS.largestRate, (Math.min(above, normals.length - 1) + 1) / (normals.length + 1));
}
