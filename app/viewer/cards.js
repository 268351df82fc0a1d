// What the server writes in English, for who reads Chinese: the cards of names, checkpoints and trainings. A pair is
// what a piece of text is and what it becomes; {} stands for what changes, in the same order on both sides.

const CARDS = [
  ["Drop or paste a photograph, or click to choose one", "拖入或粘贴照片，或点击选择"],
  ["PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC, AVIF, JPEG 2000 or PPM; up to {} MB and {} megapixels", "PNG、JPEG、WebP、BMP、TIFF、GIF、HEIC、AVIF、JPEG 2000 或 PPM；不超过 {} MB、{} 百万像素"],
  ["Class", "类别"],
  ["Similarity", "相似度"],
  ["Score", "分数"],
  ["Threshold", "阈值"],
  ["Verdict", "判定"],
  ["ok", "合格"],
  ["borderline", "临界"],
  ["defect", "缺陷"],
  ["unknown", "未知"],
  ["head", "头部"],
  ["tail", "尾部"],
  ["all", "全部"],
  ["head · {}", "头部 · {}"],
  ["tail · {}", "尾部 · {}"],
  ["before", "训练前"],
  ["after", "训练后"],
  ["now", "现在"],
  ["class", "类别"],
  ["checkpoint", "检查点"],
  ["per cent", "百分比"],
  ["yes", "是"],
  ["no", "否"],
  ["threshold", "阈值"],
  // the line below the checkpoint
  ["{} classes", "{} 个类别"],
  ["with {} down to {} training images ({}). Image AUROC on its test images, per cent: {}.", "训练图像 {} 至 {} 张（{}）。测试图像上的图像级 AUROC（百分比）：{}。"],
  // names
  ["The names that it made up", "模型自己起的名称"],
  ["Nearest words of each token", "每个词元最近的单词"],
  ["Moved", "移动"],
  ["Fits its images", "与图像的匹配"],
  [", hardly from “{}”", "，几乎未离开“{}”"],
  [", a little from “{}”", "，略离开“{}”"],
  [", far from “{}”", "，远离“{}”"],
  [", very far from “{}”", "，非常远离“{}”"],
  ["The words do not translate the names: for {} of {} the nearest word is still one from the start, and yet the text tower reads {} of them as something far from it.", "单词并不能翻译这些名称：{} / {} 个名称的最近单词仍是起始单词，但文本编码器认为其中 {} 个已与之相去甚远。"],
  ["The best likeness of any token to any word is {}: what a name means, words tell only in part.", "任一词元与任一单词的最高相似度为 {}：名称的含义，单词只能说出一部分。"],
  ["A name is a few vectors, its tokens, that stand where a word would stand. Beside each nearest word is its cosine similarity: 1 is that very word, and the lower, the less the word says. Moved: 1 minus the similarity of the name to what it was before training, as the text tower reads the two. Fits its images: the name's similarity to the mean of the class's training images, before and after training.", "名称是几个向量（词元），占据单词的位置。每个最近单词旁是其余弦相似度：1 即该单词本身，越低则该单词越不能说明名称。移动：1 减去名称与训练前的相似度（按文本编码器的理解）。与图像的匹配：名称与该类训练图像均值的相似度，训练前后各一。"],
  ["How alike the names are", "名称之间有多相似"],
  ["There is only one name.", "只有一个名称。"],
  ["Most alike are {} and {}, with {}.", "最相似的是“{}”和“{}”，为 {}。"],
  ["Cosine similarity:", "余弦相似度："],
  ["alike,", "相似，"],
  ["opposed, no colour: nothing in common. Where two names are alike, an image that fits one fits the other, too.", "相反，无色：毫无共同之处。若两个名称相似，符合其一的图像也符合另一个。"],
  ["Where names and images lie", "名称与图像的位置"],
  ["learned name", "所学名称"],
  ["mean of its training images", "其训练图像的均值"],
  ["the photograph below", "下方的照片"],
  ["Two of many dimensions: they show {} % of the spread. Names and images fill different corners of the joint space, so each kind is seen from its own mean. Tail classes in", "众多维度中的两个：显示了 {} % 的离散程度。名称与图像位于联合空间的不同角落，因此各自从自己的均值来看。尾部类别用"],
  ["this colour", "此颜色"],
  ["No checkpoint is here yet.", "这里还没有检查点。"],
  ["Give a photograph and a word to see how the word would do.", "给出一张照片和一个单词，看看该单词的效果。"],
  ["{}, by another name", "{}，换个名称"],
  ["Similarity to the photograph", "与照片的相似度"],
  ["Semantic score", "语义分数"],
  ["Reconstruction score", "重建分数"],
  ["Image score", "图像分数"],
  ["“{}” fits this photograph as well as the learned name. The verdict stays “{}”.", "“{}”与这张照片的匹配程度和所学名称一样。判定仍为“{}”。"],
  ["“{}” fits this photograph better than the learned name. The verdict stays “{}”.", "“{}”比所学名称更匹配这张照片。判定仍为“{}”。"],
  ["“{}” fits this photograph less well than the learned name. The verdict stays “{}”.", "“{}”不如所学名称匹配这张照片。判定仍为“{}”。"],
  ["“{}” fits this photograph as well as the learned name. The verdict would change from “{}” to “{}”.", "“{}”与这张照片的匹配程度和所学名称一样。判定会从“{}”变为“{}”。"],
  ["“{}” fits this photograph better than the learned name. The verdict would change from “{}” to “{}”.", "“{}”比所学名称更匹配这张照片。判定会从“{}”变为“{}”。"],
  ["“{}” fits this photograph less well than the learned name. The verdict would change from “{}” to “{}”.", "“{}”不如所学名称匹配这张照片。判定会从“{}”变为“{}”。"],
  ["Scores grow with abnormality. No name enters the reconstruction, so it is the same in both. What is normal was measured with the learned name: a word that moves all patches alike moves the semantic score of good parts, too. Try a good part and a defective one.", "分数随异常程度增大。重建不使用名称，因此两者相同。正常值是用所学名称测得的：若一个单词使所有图块同样移动，合格品的语义分数也会移动。请各试一个合格品和缺陷品。"],
  // checkpoints
  ["{} classes, {} down to {} training images", "{} 个类别，训练图像 {} 至 {} 张"],
  ["image AUROC", "图像级 AUROC"],
  ["pixel AUROC", "像素级 AUROC"],
  ["false alarms", "误报"],
  ["defects found", "检出的缺陷"],
  ["image AUROC, changed harmlessly", "图像级 AUROC（无害变化后）"],
  ["false alarms, changed harmlessly", "误报（无害变化后）"],
  ["defects found, changed harmlessly", "检出的缺陷（无害变化后）"],
  ["Strangers taken for a known product: {} % ({} to {}), mean over {} products.", "被当作已知产品的陌生产品：{} %（{} 至 {}），{} 种产品的平均。"],
  ["{} to {}", "{} 至 {}"],
  ["Image AUROC, pixel AUROC, false alarms, defects found: not measured.", "图像级 AUROC、像素级 AUROC、误报、检出的缺陷：未测量。"],
  ["Data", "数据"],
  ["{}, imbalance {}", "{}，不平衡程度 {}"],
  ["Licence of the data", "数据许可"],
  ["not stated", "未说明"],
  ["Foundation model", "基础模型"],
  ["Size", "大小"],
  ["Time", "时间"],
  ["{} ms per image on this machine", "本机每张图像 {} 毫秒"],
  ["not loaded yet", "尚未加载"],
  ["There is no data set with checkpoints of several imbalance levels.", "没有数据集拥有多个不平衡程度的检查点。"],
  ["{}: image AUROC over imbalance", "{}：图像级 AUROC 随不平衡程度的变化"],
  ["imbalance", "不平衡程度"],
  ["images per class", "每类图像数"],
  ["The difference", "差异"],
  ["Both say “{}”; in its own thresholds the score of {} is as high.", "两者都判为“{}”；以各自阈值计，{} 的分数相同。"],
  ["Both say “{}”; in its own thresholds the score of {} is {} thresholds higher.", "两者都判为“{}”；以各自阈值计，{} 的分数高 {} 个阈值。"],
  ["Both say “{}”; in its own thresholds the score of {} is {} thresholds lower.", "两者都判为“{}”；以各自阈值计，{} 的分数低 {} 个阈值。"],
  ["{} says “{}”, {} says “{}”; in its own thresholds the score of {} is as high.", "{} 判为“{}”，{} 判为“{}”；以各自阈值计，{} 的分数相同。"],
  ["{} says “{}”, {} says “{}”; in its own thresholds the score of {} is {} thresholds higher.", "{} 判为“{}”，{} 判为“{}”；以各自阈值计，{} 的分数高 {} 个阈值。"],
  ["{} says “{}”, {} says “{}”; in its own thresholds the score of {} is {} thresholds lower.", "{} 判为“{}”，{} 判为“{}”；以各自阈值计，{} 的分数低 {} 个阈值。"],
  ["verdict", "判定"],
  ["score", "分数"],
  ["score in thresholds", "分数（阈值倍数）"],
  ["Maps, each in thresholds of its own: orange where {} sees more, purple where {} does.", "异常图各以自己的阈值为单位：橙色处 {} 更高，紫色处 {} 更高。"],
  // trainings
  ["What was found", "检查结果"],
  ["{} photograph to learn from. At least {} are needed: add some.", "可学习的照片 {} 张。至少需要 {} 张：请添加。"],
  ["{} photographs to learn from. At least {} are needed: add some.", "可学习的照片 {} 张。至少需要 {} 张：请添加。"],
  ["{} photographs to learn from. Each is judged by a model that has not seen it, and the threshold is made of these scores alone.", "可学习的照片 {} 张。每张由未见过它的模型判断，阈值只由这些分数得出。"],
  ["{} photographs to learn from. Each is judged by a model that has not seen it. The threshold is made of these scores and of what other classes score. From {} photographs on it is the class's own.", "可学习的照片 {} 张。每张由未见过它的模型判断。阈值由这些分数和其他类别的分数得出；达到 {} 张后只由本类得出。"],
  ["Look at these, and leave out what does not belong:", "请查看以下照片，去掉不属于的："],
  ["{}, from {}", "{}，源自 {}"],
  ["Waiting", "等待中"],
  ["Training", "训练中"],
  ["Done", "完成"],
  ["It failed", "失败"],
  ["Cancelled", "已取消"],
  ["Interrupted", "已中断"],
  ["It is the next.", "下一个就是它。"],
  ["{} training before it.", "前面还有 {} 个训练。"],
  ["{} trainings before it.", "前面还有 {} 个训练。"],
  ["{} photographs, {} steps.", "{} 张照片，{} 步。"],
  ["It can go on where it was.", "可以从中断处继续。"],
  ["Loss; it jumps where one stage ends and the next begins.", "损失；每个阶段交替处会跳变。"],
  ["{} steps", "{} 步"],
  ["What it cannot rebuild yet of one of your photographs: it darkens as it learns.", "模型尚不能重建您的一张照片中的哪些部分：随学习而变暗。"],
  ["{}, before and after", "{}，训练前后"],
  ["recognised", "识别为本类"],
  ["good ones over the threshold", "超过阈值的合格品"],
  ["defective ones over it", "超过阈值的缺陷品"],
  ["{} × or more", "{} 倍及以上"],
  ["good", "合格"],
  ["defective", "缺陷"],
  ["Before, the photographs were judged as the class that it took them for. After, each good one was judged by a model that had not seen it.", "训练前，照片按模型认为的类别判断。训练后，每张合格品由未见过它的模型判断。"],
  ["Before, the photographs were judged as this class. After, each good one was judged by a model that had not seen it.", "训练前，照片按本类判断。训练后，每张合格品由未见过它的模型判断。"],
  ["The other classes", "其他类别"],
  ["rebuilt", "重建"],
  ["as itself", "识别为自身"],
  ["Rebuilt: the error on images that the generator draws of the class, as a multiple of what it was: over 1 something was lost, and below it replay has trained on such images. Recognised: whether the mean of its training images still finds its own name.", "重建：在生成器为该类生成的图像上的误差与原来之比：大于 1 表示有所遗忘，小于 1 是因为回放时训练过此类图像。识别：其训练图像的均值是否仍对应自己的名称。"],
  ["Rebuilt: the error on images that the generator draws of the class, as a multiple of what it was: over 1 something was lost, and below it replay has trained on such images. Recognised: whether the mean of its training images still finds its own name. Image AUROC, and images taken for their own class: on some of the demo factory's test images.", "重建：在生成器为该类生成的图像上的误差与原来之比：大于 1 表示有所遗忘，小于 1 是因为回放时训练过此类图像。识别：其训练图像的均值是否仍对应自己的名称。图像级 AUROC 和识别为自身的图像：在演示工厂的部分测试图像上。"],
];

/** Give the translation of a piece of text, or the text itself where there is none. */
const translated = (() => {
  const plain = new Map(CARDS.filter(([from]) => !from.includes("{}")));
  const open = CARDS.filter(([from]) => from.includes("{}")).sort(([a], [b]) => b.length - a.length); // the closest first
  const patterns = open.map(([from, to]) => {
    const parts = from.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return [new RegExp(`^${parts.join("(.+?)")}$`, "s"), to];
  });
  return (text) => {
    if (plain.has(text)) return plain.get(text);
    for (const [pattern, to] of patterns) {
      const found = text.match(pattern);
      if (found) return found.slice(1).reduce((said, part) => said.replace("{}", () => plain.get(part) ?? part), to);
    }
    return text;
  };
})();

const TRANSLATED = ".card, #about, #verdicts, [data-testid=image] .wrap";
const AS_THEY_ARE = ".near, ltad-inspection, ltad-batch"; // words of the vocabulary; what was made in this language

function translateText(node) {
  const text = node.data.replace(/\s+/g, " ").trim();
  const said = text && translated(text);
  if (!said || said === text || !node.parentElement?.closest(TRANSLATED) || node.parentElement.closest(AS_THEY_ARE)) return;
  node.data = node.data.replace(/^(\s*)[^]*?(\s*)$/, (_, before, after) => before + said + after);
}

function translateWithin(node) {
  if (node.nodeType === Node.TEXT_NODE) translateText(node);
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) translateText(walker.currentNode);
}

if (WORDS === CHINESE) {
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "characterData") translateText(target);
      else addedNodes.forEach(translateWithin);
    }
  }).observe(document.documentElement, { childList: true, characterData: true, subtree: true });
}
