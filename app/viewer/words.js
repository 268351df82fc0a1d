// What the page says, in English and in Chinese. Facts go in, sentences come out; nothing is decided here.

const percent = (share) => `${+(100 * share).toPrecision(2)} %`;
const fixed = (value) => value.toFixed(2).replace(/^-0\.00$/, "0.00");
const spell = (name) => name.replaceAll("_", " ");

const ENGLISH = {
  verdicts: {
    ok: "OK",
    borderline: "Borderline",
    defect: "Defect",
    unknown: "Unknown product",
    everywhere: "Unlike the training pictures",
    other: "Another product",
  },
  labelled: (defect) => `This is an example, labelled: ${spell(defect)}.`,
  missed: {
    falseAlarm: "The model is wrong: it calls a good one a defect.",
    ok: "The model is wrong: it misses the defect.",
    borderline: "The model does not find it for sure: borderline is no defect.",
    unknown: "The model does not find it: unknown is no defect.",
  },
  /** below: how many of the normal images that the class is compared with score less. */
  unusual: (below, calibration, name) => {
    const { own, images, played } = calibration;
    const above = images - below;
    const whose =
      own === images
        ? `this class's ${images} held-out normal images`
        : `${images} normal images, ${own || "none"} of this class and ${images - own} of ${played ? "classes cut down to as few" : "all classes"}`;
    const than = !above
      ? "More unusual than all of"
      : !below
        ? "Less unusual than any of"
        : `More unusual than ${below > above ? `all but ${above}` : below} of`;
    return `${than} ${whose}, judged as ${spell(name)}.`;
  },
  everywhere: (name, verdict) =>
    `The photograph is unusual everywhere at once: its light, sharpness or position is unlike the training pictures, it shows another product, or the defect covers most of it. As ${spell(name)} it would be “${verdict}”. Compare it with a picture that was judged well.`,
  unknown: (name, verdict) =>
    `The image fits none of the learned classes. The nearest is ${spell(name)}; judged as that it would be “${verdict}”, which means little. Is it a product of yours? The Teach tab learns it from a few good photographs.`,
  other: (name, nearest, verdict) =>
    `The image does not look like ${spell(name)}, as which it was judged; it looks most like ${spell(nearest)}. As ${spell(name)} it would be “${verdict}”.`,
  /** What stands behind a class's threshold at a rate; threshold: null where the class is still to be learned. */
  promise: (calibration, rate, threshold) => {
    const { own, images, played, provisional, seen } = calibration;
    const alone = own === images;
    const lent = `${images - own} that ${played ? "other classes, cut down to as few images," : "all classes"} lend it`;
    const stands =
      (alone || own ? `${own} held-out normal images of this class` : "no held-out image of this class") +
      (!alone ? ` and ${lent}` : played ? ", moved towards what new images scored in rehearsal" : "");
    const said = provisional
      ? "From so few nothing can be promised. " +
        (seen
          ? `Where other classes were cut down to as few, ${percent(seen[0])} of their good parts exceeded it at ${percent(calibration.rate)}, in the worst class ${percent(seen[1])}.`
          : "How many good parts exceed it was not measured.")
      : alone
        ? `At most ${percent(Math.max(rate, smallestRate(calibration)))} of good parts are to exceed it; so many images can promise no less than ${percent(smallestRate(calibration))}.`
        : `It is set to let ${percent(Math.max(rate, smallestRate(calibration)))} of good parts over it; the class's own images alone could promise no less than ${percent(1 / (own + 1))}.`;
    return `The threshold ${threshold === null ? "will stand" : `${threshold.toFixed(2)} stands`} on ${stands}. ${said}`;
  },
  changed: (share) => ` After a slight change of light, position or file, ${percent(share)} of its held-out images exceed it.`,
  provisional: "provisional",
  rate: "False alarms, at most",
  rateHelp: "How many of the good parts may be called defective",
  reset: "Reset",
  score: "Score",
  threshold: "threshold",
  normalImages: "normal images",
  thisImage: "this image",
  scale: (score, threshold) => `Score ${score}, threshold ${threshold}. Drag to move the threshold.`,
  map: "Anomaly map",
  photograph: "the inspected photograph",
  opacity: "Opacity",
  colours: "Colours",
  contour: "Outline",
  boxes: "Boxes",
  wipe: "Wipe",
  wipeHelp: "How much of the photograph is shown without its map",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  zoomReset: "Whole photograph",
  stage: "Photograph with its anomaly map. Plus and minus zoom, arrow keys move.",
  normal: "normal",
  shown: "Shown",
  parts: { all: "all together", reconstruction: "reconstruction", semantic: "semantics" },
  readout: (x, y, value, ratio) => `${x}, ${y}: ${value} (${ratio} × threshold)`,
  regions: "Places that stand out",
  noRegions: "No place exceeds the threshold.",
  regionHead: ["", "Position", "Size", "Area", "Peak"],
  regionRow: (region, share, ratio) => [
    `${region.box[0]}, ${region.box[1]}`,
    `${region.box[2]} × ${region.box[3]}`,
    share,
    `${region.peak.toFixed(2)} (${ratio} ×)`,
  ],
  region: (number) => `Place ${number}`,
  more: (count) => `and ${count} smaller one${count === 1 ? "" : "s"}, not shown`,
  places: [
    ["upper left", "top", "upper right"],
    ["left", "middle", "right"],
    ["lower left", "bottom", "lower right"],
  ],
  why: "Why",
  where: (place, ratio) => `The most unusual place is at the ${place}, ${ratio} times the threshold.`,
  nowhere: (ratio) => `The most unusual place reaches ${ratio} times the threshold.`,
  recognised: (name, similarity, next) =>
    `It was judged as ${spell(name)} (similarity ${similarity}${next ? `; next ${spell(next.name)}, ${next.similarity}` : ""}).`,
  closely: (fine, strong) =>
    `Looked at closely, it is ${strong ? "unlike" : "much like"} normal images (${fine} standard deviations above normal). Of the whole frame:`,
  seenBy: (reconstruction, semantic, strong, weak) => {
    const figures = ` (${reconstruction} and ${semantic} standard deviations above normal)`;
    if (strong && weak) return `The patches are unlike those of normal images, and the semantic classifier agrees${figures}.`;
    if (strong) return `The patches are unlike those of normal images, but the semantic classifier sees little${figures}.`;
    if (weak) return `The semantic classifier objects, but the patches are much like those of normal images${figures}.`;
    return `Neither the patches nor the semantic classifier object${figures}.`;
  },
  matched: "Matched pseudo class",
  matchedHelp: (margin) =>
    `Cosine similarity of the image to each learned name; margin ${margin}. Head or tail, and the number of training images.`,
  groups: { head: "head", tail: "tail" },
  notes: "Notes",
  hints: {
    drop: "Drop a photograph or click an example to see a verdict.",
    dropMany: "Drop photographs, or a ZIP archive of them, to see a table of verdicts.",
    teach: "Drop photographs of good ones and check them, to see what can be learned from them.",
    choose: "Choose a row; the arrow keys walk through the table.",
    reading: "Reading the names …",
    loading: "The models are loading; examples can be clicked already.",
  },
  states: { ok: "OK", borderline: "Borderline", defect: "Defect", unknown: "Unknown", error: "Not judged" },
  columns: { number: "No.", name: "Image", state: "Verdict", ratio: "× threshold", className: "Class" },
  everything: "All",
  nearest: (name) => `nearest: ${spell(name)}`,
  filter: "Show only",
  search: "Name or class",
  progress: (done, total) => (done < total ? `${done} of ${total}` : `${total} photograph${total === 1 ? "" : "s"}`),
  batchScale: "Scores of this batch over those of normal images, in thresholds",
  batchKey: "wide: normal images, narrow: this batch",
  stale: "Another checkpoint or class is chosen by now: inspect them again.",
  back: "↑ Back to the table",
  large: "The picture in large",
  close: "Close",
  notShown: "The browser cannot show this file. Its verdict does, if it can be read.",
};

const CHINESE = {
  verdicts: { ok: "合格", borderline: "临界", defect: "缺陷", unknown: "未知产品", everywhere: "与训练照片不同", other: "其他产品" },
  unusual: (below, calibration, name) => {
    const { own, images, played } = calibration;
    const above = images - below;
    const whose =
      own === images
        ? `本类的 ${images} 张留出正常图像`
        : `${images} 张正常图像（本类 ${own} 张，其余 ${images - own} 张来自${played ? "缩减到同样少图像的其他类别" : "所有类别"}）`;
    const than = !above
      ? `比${whose}都更异常`
      : !below
        ? `不比${whose}中的任何一张更异常`
        : below > above
          ? `比${whose}中除 ${above} 张外的全部都更异常`
          : `比${whose}中的 ${below} 张更异常`;
    return `按“${spell(name)}”判断：${than}。`;
  },
  labelled: (defect) => `这是示例，标注为：${translated(spell(defect))}。`,
  missed: {
    falseAlarm: "模型判断错误：把合格品判为缺陷。",
    ok: "模型判断错误：漏掉了缺陷。",
    borderline: "模型未能确认缺陷：临界不算缺陷。",
    unknown: "模型未能找出缺陷：未知不算缺陷。",
  },
  everywhere: (name, verdict) =>
    `整张照片同时异常：光线、清晰度或位置与训练照片不同，可能是其他产品，或者缺陷覆盖了大部分画面。按“${spell(name)}”判断为“${verdict}”。请与一张判断正确的照片比较。`,
  unknown: (name, verdict) =>
    `该图像与任何已学类别都不相符。最接近的是“${spell(name)}”，按它判断为“${verdict}”，但参考意义不大。若这是您的产品，“教学”页只需几张合格品照片即可学会。`,
  other: (name, nearest, verdict) =>
    `该图像不像所选的“${spell(name)}”，更像“${spell(nearest)}”。按“${spell(name)}”判断为“${verdict}”。`,
  promise: (calibration, rate, threshold) => {
    const { own, images, played, provisional, seen } = calibration;
    const alone = own === images;
    const stands =
      `本类的 ${own} 张留出正常图像` +
      (!alone
        ? `，并由${played ? "缩减到同样少图像的其他类别" : "所有类别"}补足 ${images - own} 张`
        : played
          ? "，并朝排练中新图像的分数作了调整"
          : "");
    const said = provisional
      ? "图像太少，不作任何保证。" +
        (seen
          ? `其他类别缩减到同样少的图像时，在 ${percent(calibration.rate)} 下平均有 ${percent(seen[0])} 的合格品超过阈值，最差的类别为 ${percent(seen[1])}。`
          : "有多少合格品会超过阈值，未曾测量。")
      : alone
        ? `超过阈值的合格品应不多于 ${percent(Math.max(rate, smallestRate(calibration)))}；这么多图像最低只能保证 ${percent(smallestRate(calibration))}。`
        : `设定为让 ${percent(Math.max(rate, smallestRate(calibration)))} 的合格品超过它；仅凭本类图像，最低只能保证 ${percent(1 / (own + 1))}。`;
    return `阈值${threshold === null ? "将来自" : ` ${threshold.toFixed(2)} 来自`}${stands}。${said}`;
  },
  changed: (share) => `光线、位置或文件稍有变化后，留出图像中有 ${percent(share)} 超过阈值。`,
  provisional: "暂定",
  rate: "误报率上限",
  rateHelp: "允许多少合格品被判为缺陷",
  reset: "重置",
  score: "分数",
  threshold: "阈值",
  normalImages: "正常图像",
  thisImage: "本图像",
  scale: (score, threshold) => `分数 ${score}，阈值 ${threshold}。拖动可移动阈值。`,
  map: "异常图",
  photograph: "被检照片",
  opacity: "不透明度",
  colours: "配色",
  contour: "轮廓",
  boxes: "方框",
  wipe: "对比擦除",
  wipeHelp: "不叠加异常图的照片部分",
  zoomIn: "放大",
  zoomOut: "缩小",
  zoomReset: "完整照片",
  stage: "照片及其异常图。加减键缩放，方向键移动。",
  normal: "正常",
  shown: "显示",
  parts: { all: "综合", reconstruction: "重建", semantic: "语义" },
  readout: (x, y, value, ratio) => `${x}, ${y}：${value}（阈值的 ${ratio} 倍）`,
  regions: "异常位置",
  noRegions: "没有位置超过阈值。",
  regionHead: ["", "位置", "大小", "面积", "峰值"],
  regionRow: (region, share, ratio) => [
    `${region.box[0]}, ${region.box[1]}`,
    `${region.box[2]} × ${region.box[3]}`,
    share,
    `${region.peak.toFixed(2)}（${ratio} 倍）`,
  ],
  region: (number) => `位置 ${number}`,
  more: (count) => `另有 ${count} 处较小的未显示`,
  places: [
    ["左上", "上方", "右上"],
    ["左侧", "中部", "右侧"],
    ["左下", "下方", "右下"],
  ],
  why: "原因",
  where: (place, ratio) => `最异常的位置在${place}，为阈值的 ${ratio} 倍。`,
  nowhere: (ratio) => `最异常的位置为阈值的 ${ratio} 倍。`,
  recognised: (name, similarity, next) =>
    `按“${spell(name)}”判断（相似度 ${similarity}${next ? `；其次“${spell(next.name)}”，${next.similarity}` : ""}）。`,
  closely: (fine, strong) => `近看与正常图像${strong ? "不同" : "相近"}（高出正常值 ${fine} 个标准差）。就整幅画面而言：`,
  seenBy: (reconstruction, semantic, strong, weak) => {
    const figures = `（分别高出正常值 ${reconstruction} 和 ${semantic} 个标准差）`;
    if (strong && weak) return `图块与正常图像不同，语义分类器也认为异常${figures}。`;
    if (strong) return `图块与正常图像不同，但语义分类器看不出多少异常${figures}。`;
    if (weak) return `语义分类器认为异常，但图块与正常图像相近${figures}。`;
    return `图块和语义分类器都未见异常${figures}。`;
  },
  matched: "匹配的伪类别",
  matchedHelp: (margin) => `图像与每个所学名称的余弦相似度；差距 ${margin}。并列出头部或尾部，以及训练图像数量。`,
  groups: { head: "头部", tail: "尾部" },
  notes: "说明",
  hints: {
    drop: "拖入一张照片或点击示例，即可看到判定。",
    dropMany: "拖入多张照片或其 ZIP 压缩包，即可看到判定表。",
    teach: "拖入合格品照片并检查，看看能从中学到什么。",
    choose: "选择一行；方向键可逐行浏览。",
    reading: "正在读取名称…",
    loading: "模型正在加载；示例已可点击。",
  },
  states: { ok: "合格", borderline: "临界", defect: "缺陷", unknown: "未知", error: "未判断" },
  columns: { number: "序号", name: "图像", state: "判定", ratio: "阈值倍数", className: "类别" },
  everything: "全部",
  nearest: (name) => `最接近：${spell(name)}`,
  filter: "只显示",
  search: "名称或类别",
  progress: (done, total) => (done < total ? `${done} / ${total}` : `${total} 张照片`),
  batchScale: "本批分数与正常图像分数的分布，以阈值为单位",
  batchKey: "宽：正常图像，窄：本批",
  stale: "已选择其他检查点或类别：请重新检测。",
  back: "↑ 返回表格",
  large: "大图",
  close: "关闭",
  notShown: "浏览器无法显示此文件；若能读取，判定结果中会显示。",
};

const WORDS = navigator.language.toLowerCase().startsWith("zh") ? CHINESE : ENGLISH;
