// From a score to a verdict, for any false-alarm rate: what ltad/judging/calibration.py says, without asking the server.
// A class's calibration holds the scores that it compares with, ascending (`scores`), how many images they stand for,
// how many of these are the class's `own` and, where it has too few, as how many other classes `played`.

/** The smallest rate that so many normal images can promise. */
const smallestRate = (calibration) => 1 / (calibration.images + 1);

/** The score that a normal image exceeds with probability `rate` at most. */
function thresholdAt(calibration, rate) {
  const { scores } = calibration;
  const above = Math.floor(Math.max(rate, smallestRate(calibration)) * (scores.length + 1) + 1e-9) - 1;
  return scores[scores.length - 1 - Math.min(Math.max(above, 0), scores.length - 1)];
}

function judge(score, calibration, rate) {
  const promised = Math.max(rate, smallestRate(calibration));
  const threshold = thresholdAt(calibration, rate);
  const atLeast = calibration.scores.filter((normal) => normal >= score).length;
  const pValue = (1 + atLeast) / (calibration.scores.length + 1);
  const verdict = score > threshold ? "defect" : pValue <= CONSTANTS.borderline * promised ? "borderline" : "ok";
  return { verdict, pValue, threshold, promised };
}

/** What is told of a photograph (a row, or an inspection's facts): unknown stays unknown at every rate. */
const verdictOf = ({ unknown }, judgement) => (unknown ? "unknown" : judgement.verdict);

/** How a verdict misses what an example is labelled as; null where it does not, or nothing is labelled. */
function missed(label, verdict) {
  if (!label) return null;
  if (label === "good") return verdict === "defect" ? "falseAlarm" : null;
  return verdict === "defect" ? null : verdict;
}

/** The rate at which the threshold stands at a score, as nearly as the normals allow. */
function rateAt(score, calibration) {
  const { scores } = calibration;
  const above = scores.filter((normal) => normal > score).length;
  return Math.min(CONSTANTS.largestRate, (Math.min(above, scores.length - 1) + 1) / (scores.length + 1));
}
