"""The words of tabs, labels and buttons, in English and in Chinese; the browser takes those of its language.

What is said of results is in ``app/viewer/words.js``.
"""

from collections.abc import Sequence

import gradio as gr
from gradio.i18n import I18nData

from ltad.checkpoint.card import CheckpointCard

TEXTS = {
    "masthead": (
        "# LTAD\nOne model for many products, learned from normal images only: it finds what is wrong with a part, "
        "shows where, and recognises the part by a name that it made up itself. Photographs stay on this server and "
        "are deleted within two hours, those that it is taught with within two days.",
        "# LTAD\n一个模型检测多种产品，只从正常图像中学习：它找出零件的缺陷及其位置，并用自己学到的名称识别零件。"
        "照片只保存在本服务器上，两小时内删除；用于教学的照片两天内删除。",
    ),
    "inspect": ("Inspect", "检测"),
    "batch": ("Batch", "批量"),
    "names": ("Names", "名称"),
    "checkpoints": ("Checkpoints", "检查点"),
    "photograph": ("Photograph", "照片"),
    "checkpoint": ("Checkpoint", "检查点"),
    "class": ("Class", "类别"),
    "recognise": ("recognise it", "自动识别"),
    "examples": ("Examples: click one", "示例：点击一张"),
    "as_another": ("As another class", "按其他类别判断"),
    "as_each": ("Judge it as each class", "按每个类别判断"),
    "report": ("Report (JSON)", "报告（JSON）"),
    "files": ("Photographs, or a ZIP of them", "照片，或其 ZIP 压缩包"),
    "inspect_all": ("Inspect all", "全部检测"),
    "stop": ("Stop", "停止"),
    "take_away": ("Take away", "导出"),
    "html_report": ("HTML report", "HTML 报告"),
    "csv": ("CSV table", "CSV 表格"),
    "json": ("JSON reports", "JSON 报告"),
    "maps": ("Maps (16-bit PNG)", "异常图（16 位 PNG）"),
    "save": ("Download", "下载"),
    "made_up": (
        "Nobody told the model what the products are called. The classes beside it, such as “bottle cap”, were named "
        "by the people who sorted the training photographs into folders; to the model they are numbers. For each it "
        "learned a **pseudo class name**: a few vectors that stand in its prompts where a word would stand, such as “a "
        "photo of a flawless ___”. Here is what can be said of them.",
        "没有人告诉模型产品叫什么。列表中的类别名（如“bottle cap”）由把训练照片分入各文件夹的人所起；"
        "对模型来说它们只是编号。它为每个类别学习了一个**伪类别名称**：几个向量，在提示语中占据单词的位置，"
        "例如“a photo of a flawless ___”。这里列出对它们所能说的一切。",
    ),
    "word_title": ("## How would a word do?", "## 换成一个单词会怎样？"),
    "word": ("Your word for it", "您对它的称呼"),
    "compare": ("Compare", "比较"),
    "long_tail": (
        "In a long tail some products, the **head**, have many training images, and others, the **tail**, have few. "
        "The level says how few: in **exp100** the images grow fewer from class to class, down to a hundredth; in "
        "**step100** half of the classes keep a hundredth; **none** leaves the data as they are. **AUROC** says how "
        "surely a defective part, or pixel, scores higher than a good one: 100 is always, 50 is chance.",
        "在长尾数据中，一些产品（**头部**）训练图像很多，其他产品（**尾部**）很少。不平衡程度说明少到什么地步："
        "**exp100** 中图像逐类递减，直至百分之一；**step100** 中一半类别只保留百分之一；**none** 表示数据保持原样。"
        "**AUROC** 表示有缺陷的零件（或像素）得分高于合格品的把握：100 为总是如此，50 为随机。",
    ),
    "cards": ("Each on a card", "逐一查看"),
    "family": ("Head and tail", "头部与尾部"),
    "compare_two": ("Compare two", "比较两个"),
    "two": (
        "The same products, learned from fewer and fewer images of the tail: choose two and see what that does.",
        "同样的产品，尾部类别的训练图像越来越少：选择两个，看看有何不同。",
    ),
    "first": ("First", "第一个"),
    "second": ("Second", "第二个"),
    "teach": ("Teach", "教学"),
    "teach_intro": (
        "Teach a checkpoint a product of your own from 4 to 200 photographs of good ones. It learns in the background "
        "and keeps what it knows. You may close the page: this browser finds the training again. "
        "Photographs and checkpoint are deleted after two days.",
        "用 4 到 200 张合格品照片，教检查点认识您自己的产品。训练在后台进行，且不会忘记已学的内容。"
        "可以关闭页面：本浏览器会再次找到该训练。照片和检查点两天后删除。",
    ),
    "forgets": (
        "**This Space forgets.** It has no storage of its own: trainings and their checkpoints are lost whenever it "
        "restarts or falls asleep. When a training is done, download the ZIP, or put the checkpoint on the Hugging "
        "Face Hub, below its results.",
        "**本 Space 不保存数据。** 它没有持久存储：每次重启或休眠后，训练和检查点都会丢失。"
        "训练完成后，请在结果下方下载 ZIP，或把检查点发布到 Hugging Face Hub。",
    ),
    "teach_photographs": ("### 1 · Photographs", "### 1 · 照片"),
    "teach_check": ("### 2 · Check", "### 2 · 检查"),
    "teach_training": ("### 3 · Training", "### 3 · 训练"),
    "good_files": ("Good ones, or a ZIP of them", "合格品照片，或其 ZIP 压缩包"),
    "defective_files": (
        "Defective ones, only to measure with (X_mask.png marks X)",
        "缺陷品照片，仅用于测量（X_mask.png 标出 X 的缺陷）",
    ),
    "optional": ("Optional", "可选"),
    "product": ("What is it called?", "产品名称"),
    "start_word": ("A word to start its name from", "名称的起始单词"),
    "minutes": ("Minutes of training, on two CPU cores", "训练分钟数（两个 CPU 核心）"),
    "parent": ("Start from", "起始检查点"),
    "check": ("Check the photographs", "检查照片"),
    "strangest": ("Photographs, the strangest first", "照片，最可疑的在前"),
    "leave_out": ("Leave out", "不使用"),
    "leave_out_info": ("Click photographs, or choose by name", "点击照片，或按名称选择"),
    "train": ("Teach it", "开始训练"),
    "trainings": ("Your trainings", "您的训练"),
    "cancel": ("Cancel", "取消"),
    "resume": ("Resume", "继续"),
    "look_twice": ("Click a photograph to see it before and after", "点击照片，查看训练前后"),
    "before": ("Before", "训练前"),
    "after": ("After", "训练后"),
    "download": ("Download the checkpoint (ZIP)", "下载检查点（ZIP）"),
    "use": ("Use it in Inspect", "用于检测"),
    "share": ("Put it on the Hugging Face Hub", "发布到 Hugging Face Hub"),
    "repository": ("Repository, such as name/screws", "仓库，例如 name/screws"),
    "token": ("Access token with write permission; it is not kept", "有写权限的访问令牌；不会保存"),
    "private": ("Private", "私有"),
    "push": ("Push", "发布"),
}


def say(key: str) -> I18nData:
    """The text of a key, which the browser fills in; KeyError where there is none."""
    TEXTS[key]
    return I18nData(key)


def say_checkpoint(card: CheckpointCard) -> I18nData:
    """The name of a checkpoint that ships, and in a word what is in it."""
    return I18nData(_key(card))


def translations(cards: Sequence[CheckpointCard]) -> gr.I18n:
    """All texts in both languages, those of the checkpoints that ship among them."""
    texts = TEXTS | {_key(card): tuple(f"{card.name}: {said}" for said in contents(card)) for card in cards}
    english, chinese = ({key: pair[language] for key, pair in texts.items()} for language in (0, 1))
    return gr.I18n(en=english, zh=chinese)


def contents(card: CheckpointCard) -> tuple[str, str]:
    """In a word what is in a checkpoint: what its products are, how many, and images of each; in both languages."""
    counts = [c.n_train for c in card.classes]
    most, least = max(counts), min(counts)
    each, of_each = (f"{most}", f"{most}") if most == least else (f"{most} to {least}", f"{most} 至 {least}")
    return (
        f"{len(counts)} {'rendered' if card.data.is_rendered else 'photographed'} products, {each} images each",
        f"{len(counts)} 种{'渲染' if card.data.is_rendered else '实拍'}产品，每种 {of_each} 张",
    )


def _key(card: CheckpointCard) -> str:
    return f"checkpoint {card.name}"
