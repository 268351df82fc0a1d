"""The words of tabs, labels and buttons, in English and in Chinese; the browser takes those of its language.

What is said of results is in ``app/viewer/words.js``.
"""

import gradio as gr
from gradio.i18n import I18nData

TEXTS = {
    "masthead": (
        "# LTAD\nOne model for many products, learned from normal images only: it finds what is wrong with a part, "
        "shows where, and recognises the part by a name that it made up itself. Photographs stay on this server and "
        "are deleted within two hours.",
        "# LTAD\n一个模型检测多种产品，只从正常图像中学习：它找出零件的缺陷及其位置，并用自己学到的名称识别零件。"
        "照片只保存在本服务器上，两小时内删除。",
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
    "make_file": ("Make the file", "生成文件"),
    "file": ("File", "文件"),
    "made_up": (
        "Nobody told the model what the products are called. For each class it learned a **pseudo class name**: a few "
        "vectors that stand in its prompts where a word would stand, such as “a photo of a flawless ___”. Here is what "
        "can be said of them.",
        "没有人告诉模型产品叫什么。它为每个类别学习了一个**伪类别名称**：几个向量，在提示语中占据单词的位置，"
        "例如“a photo of a flawless ___”。这里列出对它们所能说的一切。",
    ),
    "word_title": ("## How would a word do?", "## 换成一个单词会怎样？"),
    "word": ("Your word for it", "您对它的称呼"),
    "compare": ("Compare", "比较"),
    "two": (
        "## Two checkpoints, one photograph\nThe same products, learned from fewer and fewer images of the tail: "
        "choose two and see what that does.",
        "## 两个检查点，一张照片\n同样的产品，尾部类别的训练图像越来越少：选择两个，看看有何不同。",
    ),
    "first": ("First", "第一个"),
    "second": ("Second", "第二个"),
}
I18N = gr.I18n(
    en={key: english for key, (english, _) in TEXTS.items()},
    zh={key: chinese for key, (_, chinese) in TEXTS.items()},
)


def say(key: str) -> I18nData:
    """The text of a key, which the browser fills in; KeyError where there is none."""
    TEXTS[key]
    return I18N(key)
