"""Every text of the page in Chinese, by its English: the one home of translations. `language.js` shows them.

A key may be a template. What stands at `{name}` stays as it is; what stands at `{NAME}` is a text, or several with
commas, that has to have a translation: otherwise the template does not fit.
Prompts and other texts of users are marked in HTML with translate="no".
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent

# The page, in its order.
_PAGE = {
    "Generate sound from text and recordings, with AudioLDM 2": "用 AudioLDM 2 从文字和录音生成声音",
    "Model:": "模型：",
    ", {rate} kHz, licence: {LICENCE}": "，{rate} kHz，许可证：{LICENCE}",
    ", {rate} kHz, licence: {licence}": "，{rate} kHz，许可证：{licence}",
    "that of the checkpoint from which it was converted": "与转换所用的检查点相同",
    "not for commercial use": "不得用于商业用途",
    "; random weights, which generate noise": "；权重是随机的，只会生成噪声",
    "Settings": "设置",
    "Advanced settings": "高级设置",
    "History": "历史记录",
    "Show more": "显示更多",
    "Cancel": "取消",
    "Your sounds appear here, and stay after a reload.": "您的声音会显示在这里，刷新页面后仍然保留。",
}
_TASKS = {
    "Sound": "声音",
    "Speech": "语音",
    "Vary": "变体",
    "Restyle": "换风格",
    "Inpaint": "修补",
    "Extend": "延长",
    "Loop": "循环",
    "Upscale": "补高频",
    "Generate": "生成",
    "Speak": "朗读",
    "Generate a sound from a prompt.": "按提示词生成声音。",
    "Speak a text of any length.": "朗读一段文字，长度不限。",
    "Generate a new clip that resembles a recording.": "生成一段与录音相似的新声音。",
    "Let a recording sound as a prompt says.": "让录音听起来像提示词所说的那样。",
    "Regenerate times or frequencies of a recording; the rest stays as it is.": (
        "重新生成录音的一段时间或一段频率，其余保持不变。"
    ),
    "Continue a recording.": "把录音接着生成下去。",
    "Generate a clip whose end meets its start.": "生成首尾相接、可以循环播放的声音。",
    "Add the high frequencies that a recording lacks; the rest is its own sound.": (
        "补上录音缺少的高频，其余仍是原来的声音。"
    ),
    "Recording": "录音",
    "Recording (optional)": "录音（可选）",
    "Prompt": "提示词",
    "Prompt (optional)": "提示词（可选）",
    "What it should sound like.": "听起来应该是什么样。",
    "Empty: like the recording.": "留空：与录音相似。",
    "Try one of these": "试试这些",
    "Length, seconds": "长度（秒）",
    "Length": "长度",
    "Empty: the recording's, or that of a clip": "留空：与录音等长；没有录音时为默认长度",
    "Empty: the recording's, up to 10": "留空：与录音等长，最多 10 秒",
    "Text": "文字",
    "What to say, in English.": "要说的话，用英语。",
    "Speaker": "说话人",
    "Choose a voice, or describe one: who speaks, and how.": "选择一种嗓音，或用英语描述：谁在说，怎样说。",
    "Phonemes": "音素",
    "The text is phonemes as espeak writes them, not words.": "文字是 espeak 写法的音素，而不是单词。",
    "Speed": "语速",
    "How fast, without a change of pitch: 2 takes half the time.": "说话快慢，音高不变：2 表示用一半的时间。",
    "Strength": "强度",
    "Near 0 the recording stays as it is, at 1 nothing of it is left.": "接近 0 时录音不变，为 1 时原声完全消失。",
    "Time": "时间",
    "Frequencies": "频率",
    "Time from, seconds": "时间起点（秒）",
    "Time to, seconds": "时间终点（秒）",
    "Frequencies from, Hz": "频率下限（Hz）",
    "Frequencies to, Hz": "频率上限（Hz）",
    "start": "开头",
    "end": "结尾",
    "lowest": "最低",
    "highest": "最高",
    "Cutoff, Hz": "截止频率（Hz）",
    "Cutoff": "截止频率",
    "Frequencies above it are generated. Empty: where the spectrum of the recording ends.": (
        "生成高于它的频率。留空：从录音频谱结束的地方开始。"
    ),
}
_SETTINGS = {
    "Negative prompt": "反向提示词",
    "What it should not sound like.": "听起来不应该是什么样。",
    "Seed": "种子",
    "New seed": "换种子",
    "a new one each time": "每次换一个",
    "Candidates": "候选数",
    "Sounds to generate; CLAP says which fits the prompt best.": "一次生成几个声音，由 CLAP 选出最符合提示词的。",
    "Preset": "预设",
    "fast: 10 steps. fine: 25 steps. draft: half the time, less exact. original: as published, slow.": (
        "快速：10 步。精细：25 步。草稿：时间减半，不够精确。原版：与论文代码相同，较慢。"
    ),
    "fast": "快速",
    "fine": "精细",
    "draft": "草稿",
    "original": "原版",
    "Steps": "步数",
    "Denoising steps. More take longer, and may sound better.": "去噪步数。越多越慢，效果可能更好。",
    "Guidance scale": "引导强度",
    "How closely to follow the prompt. 1 is no guidance. Empty: as the checkpoint was published, mostly 3.5.": (
        "与提示词贴合的程度。1 为不引导。留空：与检查点发布时相同，多为 3.5。"
    ),
    "default": "默认",
    "unchanged": "不变",
    "Sampler": "采样器",
    "dpm++ needs the fewest steps.": "dpm++ 所需步数最少。",
    "Timestep spacing": "时间步间距",
    "For dpm++ only.": "仅用于 dpm++。",
    "Eta": "Eta",
    "For ddim only: 0 adds no noise between steps, 1 as much as ddpm.": (
        "仅用于 ddim：0 表示步间不加噪声，1 与 ddpm 一样多。"
    ),
    "Cache interval": "缓存间隔",
    "Steps that share deep UNet features (DeepCache). 1 is exact, more is faster.": (
        "共用 UNet 深层特征的步数（DeepCache）。1 最精确，越大越快。"
    ),
    "Guidance": "引导区间",
    "Guidance from": "引导起点",
    "Guidance to": "引导终点",
    "As a share of the steps, 0 to 1.": "占全部步数的比例，0 到 1。",
    "Prompts over time": "随时间变化的提示词",
    "A line for each: seconds, colon, the prompt that follows then.": "每行一条：秒数、英文冒号、从那时起的提示词。",
    "4: it brakes 6: silence, birds": "4: it brakes 6: silence, birds",
    "LoRA adapters": "LoRA 适配器",
    'Names with a scale each, such as "bells:0.8; rain". Empty: none. This server has none.': (
        "名称，各带一个强度，例如 bells:0.8; rain。留空：不用。本服务器没有适配器。"
    ),
    'Names with a scale each, such as "bells:0.8; rain". Empty: none. This server has {names}.': (
        "名称，各带一个强度，例如 bells:0.8; rain。留空：不用。本服务器有 {names}。"
    ),
    "Take the settings of a sound file": "采用声音文件中的设置",
    "Variations": "变体数",
    "Sounds to keep, each with a seed of its own.": "保留几个声音，各有自己的种子。",
    "Trim": "修剪",
    "Cut off the silence at both ends.": "去掉首尾的静音。",
    "Start at once": "立即开始",
    "Of a longer sound, the length from where it begins.": "生成更长的声音，从发声处起取所需长度。",
    "Stereo": "立体声",
    "Two channels whose mean is the mono sound.": "两个声道，其平均即为单声道的声音。",
    "Normalize": "归一化",
    "Bring the peak to -1 dBFS.": "使峰值为 -1 dBFS。",
    "Tags in files": "文件标签",
    "all: that it is AI-generated, and the settings that make it again. marking: without the settings.": (
        "全部：写明由人工智能生成，以及可再次生成的设置。标记：不含设置。"
    ),
    "all": "全部",
    "marking": "标记",
    "none": "无",
    "Loudness": "响度",
    "Loudness, LUFS": "响度（LUFS）",
    "Such as -16. Empty: as it was generated.": "例如 -16。留空：保持生成时的响度。",
}
_CARDS = {
    "Loading the networks": "正在载入网络",
    "Encoding the recording": "正在编码录音",
    "Reading the prompt": "正在理解提示词",
    "Denoising": "正在去噪",
    "Decoding": "正在解码",
    "Generating the waveform": "正在生成波形",
    "Comparing with the prompt": "正在与提示词比较",
    "{STAGE}: {done} of {total}": "{STAGE}：{done}/{total}",
    "The model is being prepared; the first time, this takes a minute or two": ("正在准备模型，第一次需要一两分钟"),
    "Waiting, {count} ahead in the queue": "排队中，前面还有 {count} 个",
    "Waiting, next in the queue": "排队中，下一个就是",
    "Starting": "正在开始",
    "Progress": "进度",
    "Like the recording": "与录音相似",
    "waiting": "等待中",
    "running": "运行中",
    "{seconds} s": "{seconds} 秒",
    "{count} steps": "{count} 步",
    "took {seconds} s": "用时 {seconds} 秒",
    "It failed: {REASON}": "失败：{REASON}",
    "It failed: {reason}": "失败：{reason}",
    "{prompt} from {seconds} s": "{seconds} 秒起：{prompt}",
    "It was cancelled": "已取消",
    "It was stopped early. This is the best sound that was complete": "提前停止。这是已完成的声音中最好的一个",
    "{count} more": "另外 {count} 个",
    "Candidate {rank} of {count}: {title}": "第 {rank} 个候选（共 {count} 个）：{title}",
    "Variation {rank} of {count}: {title}": "第 {rank} 个变体（共 {count} 个）：{title}",
    "Sound: {title}": "声音：{title}",
    "Best": "最佳",
    "No. {rank}": "第 {rank}",
    "how well the sound fits the prompt, from -1 to 1": "声音与提示词相符的程度，从 -1 到 1",
    "CLAP score {score}": "CLAP 得分 {score}",
    "seed {seed}": "种子 {seed}",
    "Spectrogram": "频谱图",
    "Spectrogram. {TITLE}": "频谱图。{TITLE}",
    "Show with axes, in a new tab": "在新标签页中显示带坐标轴的图",
    "Download": "下载",
    "Download as {format}": "下载为 {format}",
    "Edit this sound": "编辑这个声音",
    "Use these settings again": "再次使用这些设置",
    "Delete": "删除",
    "Choose a recording: its waveform appears here, to mark the range to regenerate.": (
        "请选择录音：波形会显示在这里，用来标出要重新生成的范围。"
    ),
    "Start of the range": "范围起点",
    "End of the range": "范围终点",
    "{seconds} seconds": "{seconds} 秒",
    "{seconds} s. Drag over the range to regenerate. With the keyboard: the arrow keys move its ends.": (
        "{seconds} 秒。拖动选出要重新生成的范围；也可以用方向键移动两端。"
    ),
    "{rate} kHz": "{rate} kHz",
}
_NOTES = {
    "It was made with {model}, which this server does not have: it will sound different.": (
        "它是用 {model} 生成的，本服务器没有：听起来会不一样。"
    ),
    "{model} knows {count} kinds of sound, and this prompt names none: try an example": (
        "{model} 只会 {count} 种声音，这条提示词一种也没有提到：请试试示例"
    ),
    "{model} does not speak: start the server with a checkpoint that does, such as {checkpoint}": (
        "{model} 不会说话：请用会说话的检查点启动服务器，例如 {checkpoint}"
    ),
    "{model} does not {task}: start the server with a checkpoint that does": (
        "{model} 不支持 {task}：请用支持它的检查点启动服务器"
    ),
    "This sound is now the recording in the tabs {TITLES}": "这个声音现在是以下标签页中的录音：{TITLES}",
    "The recording itself was not kept: choose it again.": "录音本身没有保留：请重新选择。",
    "The recording itself was not kept: choose it again. {REST}": "录音本身没有保留：请重新选择。{REST}",
    "{LABEL}: the page takes the first of the {count} ranges of this sound.": (
        "{LABEL}：这个声音有 {count} 个范围，页面只取第一个。"
    ),
}
# What is wrong. A line begins with the label of a field, in capital letters, or with a name.
_MISTAKES = {
    "{file} has no settings in its tags, from which it could be made again": "{file} 的标签中没有可以再次生成它的设置",
    "The settings in the tags of {file} cannot be used: {reason}": "{file} 标签中的设置无法使用：{reason}",
    "There is no file: choose one": "没有文件：请选择一个",
    "{LABEL} is true, allowed for {task}: false": "{task} 不能使用“{LABEL}”",
    "Loudness is {value} and normalize is true, allowed: one of them": "响度为 {value}，又选了归一化：只能用其中之一",
    "{LABEL} is {value}, allowed on this server with {count} candidates: up to {limit}": (
        "{LABEL}为 {value}，候选数为 {count} 时本服务器最多允许 {limit}"
    ),
    "The prompt is empty: say what it should sound like": "提示词是空的：请写出听起来应该是什么样",
    "The text is empty": "文字是空的",
    "There is no recording: choose a file, or record one": "没有录音：请选择文件或录一段",
    "The recording was removed meanwhile: choose it again": "录音已被删除：请重新选择",
    "The recording cannot be used: {REASON}": "录音无法使用：{REASON}",
    "The recording cannot be used: {reason}": "录音无法使用：{reason}",
    "The recording cannot be kept: {reason}": "录音无法保存：{reason}",
    "The job cannot be kept: {reason}": "任务无法保存：{reason}",
    "The job cannot be removed: {reason}": "任务无法删除：{reason}",
    "Too many recordings were uploaded, try again in an hour": "上传的录音过多，请一小时后再试",
    "a recording has to be uploaded, not named by its address": "录音必须上传，不能用地址指定",
    "The recording lasts {seconds} seconds, allowed on this server: up to {limit}": (
        "录音长 {seconds} 秒，本服务器最多允许 {limit} 秒"
    ),
    "the recording lasts {seconds} seconds, allowed on this server: up to {limit}": (
        "录音长 {seconds} 秒，本服务器最多允许 {limit} 秒"
    ),
    "the recording is {reason}": "文件有问题：{reason}",
    "No checkpoint of this server edits sounds": "本服务器没有能编辑声音的检查点",
    "This sound does not exist any more": "这个声音已经不存在了",
    "Sound {index} no longer exists": "第 {index} 个声音已经不存在了",
    "The queue is full: try again in {seconds} seconds": "队列已满：请 {seconds} 秒后再试",
    "The server is stopping and accepts no more jobs": "服务器正在停止，不再接受任务",
    "the server has an error, see its log": "服务器出错，请查看其日志",
    "the server has no room for the result": "服务器没有空间存放结果",
    "the server was stopped before it was finished": "服务器在完成之前停止了",
    "it was not finished within {seconds} seconds": "{seconds} 秒内没有完成",
    "The seed is {value}, allowed: nothing, or a whole number from 0 to {limit}": (
        "种子为 {value}，允许：留空，或 0 到 {limit} 的整数"
    ),
    "Eta is {value}, but only the ddim sampler has one; {sampler} does not": (
        "Eta 为 {value}，但只有 ddim 采样器才有；{sampler} 没有"
    ),
    "Timestep spacing is {value}, but only the dpm++ sampler has a choice; {sampler} does not": (
        "时间步间距为 {value}，但只有 dpm++ 采样器可选；{sampler} 不可选"
    ),
    "No ranges and no frequencies: inpaint needs one of them": "没有时间也没有频率范围：修补需要其中之一",
    "No prompt and no audio: loop needs one of them": "没有提示词也没有录音：循环需要其中之一",
    "{LABEL} has {count} characters, allowed on this server: up to {limit}": (
        "{LABEL}有 {count} 个字符，本服务器最多允许 {limit} 个"
    ),
    "{LABEL} is {value}, allowed on this server: up to {limit}": "{LABEL}为 {value}，本服务器最多允许 {limit}",
    "{LABEL} is {value}, allowed: {ALLOWED}": "{LABEL}为 {value}，允许：{ALLOWED}",
    "{LABEL} is {value}, allowed: {allowed}": "{LABEL}为 {value}，允许：{allowed}",
    "{text} is not a prompt with its time, allowed: {allowed}": "{text} 不是带时间的提示词，允许：{allowed}",
    "{LABEL} has {count} prompts, allowed: up to {limit}": "{LABEL}有 {count} 条，最多允许 {limit} 条",
    "{LABEL} has {prompt} at {seconds} seconds, after {earlier}, allowed: {gap} seconds later or more": (
        "{LABEL}：{prompt} 在 {seconds} 秒，前一条在 {earlier} 秒，至少要相隔 {gap} 秒"
    ),
    "{LABEL} has {prompt} at {seconds} seconds, allowed: up to {limit} in a clip of {duration} seconds": (
        "{LABEL}：{prompt} 在 {seconds} 秒，在 {duration} 秒的声音中最多允许 {limit} 秒"
    ),
    "{LABEL} has {prompt} at {seconds} seconds, but the prompt holds from the start, allowed: {gap} seconds or more, or"
    " no other prompt": "{LABEL}：{prompt} 在 {seconds} 秒，但提示词从开头起就有效：请用 {gap} 秒以后，或去掉提示词",
    "{LABEL} is missing, which {task} needs": "缺少{LABEL}，{task} 需要它",
    "a whole number": "整数",
    "a number": "数字",
    "a text": "文字",
    "a text that is not empty": "非空的文字",
    "{low} to {high} seconds": "{low} 到 {high} 秒",
    "{low} to {high}": "{low} 到 {high}",
    "above {low}, at most {high}": "大于 {low}，最大 {high}",
    "above {low} Hz": "大于 {low} Hz",
    "finite numbers, {low} and more": "有限的数，不小于 {low}",
    "a start and an end, 0 <= start < end <= 1": "起点和终点，0 <= 起点 < 终点 <= 1",
}
_LOGIN = {
    "API key of this server": "本服务器的 API 密钥",
    "Open the page": "打开页面",
    "This is not a key of this server.": "这不是本服务器的密钥。",
    "a key is needed: reload the page": "需要密钥：请刷新页面",
}
# What Gradio's own components say.
_GRADIO = {
    "Drop Audio Here": "把音频拖到这里",
    "- or -": "－ 或 －",
    "or": "或",
    "Click to Upload": "点击上传",
    "Upload file": "上传文件",
    "Upload Audio": "上传音频",
    "Record audio": "录音",
    "Record": "录音",
    "Stop": "停止",
    "Stop recording": "停止录音",
    "Pause": "暂停",
    "Resume": "继续",
    "Clear": "清除",
    "Microphone": "麦克风",
    "No microphone found": "没有找到麦克风",
    "Select input device": "选择输入设备",
    "Play": "播放",
    "Adjust volume": "调节音量",
    "Adjust playback speed to {speed}x": "把播放速度调到 {speed} 倍",
    "Skip forward by {seconds} seconds": "快进 {seconds} 秒",
    "Skip backwards by {seconds} seconds": "后退 {seconds} 秒",
    "Reset to default value": "恢复默认值",
    "number input for {LABEL}": "{LABEL}的数值",
    "range slider for {LABEL}": "{LABEL}的滑块",
    "Drop a file here": "把文件拖到这里",
    "Drop a file here to upload": "把文件拖到这里上传",
    "Click to upload or drop files": "点击或拖放文件上传",
    "Click to upload file": "点击上传文件",
    "Error": "错误",
    "Connection errored out.": "连接出错。",
    "Connection to the server was lost. Attempting reconnection...": "与服务器的连接已断开，正在重新连接……",
    "Uploading {count} file...": "正在上传 {count} 个文件……",
    "Loading...": "载入中……",
    "Show options": "显示选项",
    "Copy to clipboard": "复制",
    "Common actions": "常用操作",
    "Remove audio": "移除音频",
    "No options": "没有选项",
    "empty": "空",
}
_PROMPTS = {
    "Rain on a tin roof, thunder far away": "铁皮屋顶上的雨声，远处有雷声",
    "A dog barks twice in a large hall": "大厅里狗叫了两声",
    "Footsteps on gravel, birds in the background": "碎石路上的脚步声，背景有鸟鸣",
    "A steam train passes by": "一列蒸汽火车驶过",
    "A crowd cheers in a stadium": "体育场里人群欢呼",
    "Calm piano music with soft strings": "平静的钢琴曲，伴有轻柔的弦乐",
    "An old wooden door creaks open": "一扇旧木门吱呀打开",
    "Waves break on a rocky shore": "海浪拍打礁石",
    "a low tone": "低音",
    "a rising tone": "升高的音",
    "a slow siren": "缓慢的警笛",
    "laser zaps": "激光枪声",
    "a big bell": "大钟",
    "a slow guitar melody": "缓慢的吉他旋律",
    "a slow alarm": "缓慢的警报",
    "a slow drum beat": "缓慢的鼓点",
    "the slow ticking of a clock": "时钟缓慢的滴答声",
    "a light wind": "微风",
    "light rain": "小雨",
    "thunder": "雷声",
    "birds": "鸟鸣",
    "an engine": "发动机",
    "three cymbal crashes": "三声镲响",
    "a dog barking three times": "狗叫了三声",
    "a cat meowing three times": "猫叫了三声",
    "a cow mooing three times": "牛叫了三声",
    "three bleats of a sheep": "羊叫了三声",
    "a horse": "马叫",
    "a duck": "鸭子叫",
    "a rooster": "公鸡打鸣",
    "an owl": "猫头鹰叫",
    "a lion": "狮子吼",
    "a crow": "乌鸦叫",
    "a frog": "青蛙叫",
    "crickets": "蟋蟀鸣叫",
    "a bee": "蜜蜂嗡嗡",
    "light wind": "微风",
    "waves": "海浪",
    "a stream": "溪流",
    "dripping water": "滴水声",
    "bubbles": "气泡声",
    "a fire": "篝火",
    "three honks": "三声汽车喇叭",
    "a train": "火车",
    "a train whistle": "火车汽笛",
    "a ship horn": "轮船汽笛",
    "a helicopter": "直升机",
    "a jet": "喷气式飞机",
    "a chainsaw": "电锯",
    "a jackhammer": "风镐",
    "three hammer blows on an anvil": "铁砧上的三声锤击",
    "three blows of an axe": "斧头劈了三下",
    "breaking glass": "玻璃破碎",
    "a telephone": "电话铃",
    "applause": "掌声",
    "laughter": "笑声",
    "slow footsteps": "缓慢的脚步声",
    "three knocks": "三声敲门",
    "slow clapping": "缓慢的拍手",
    "a slow heartbeat": "缓慢的心跳",
    "whistling": "口哨",
    "three gunshots": "三声枪响",
    "three explosions": "三声爆炸",
    "three slow beeps": "三声缓慢的哔哔",
    "wind chimes": "风铃",
    "a dog barks three times, then rain": "狗叫了三声，然后下雨",
    "birds and a stream": "鸟鸣和溪流",
    "the low piano note C": "低音钢琴，C 音",
    "the low harpsichord note C": "低音羽管键琴，C 音",
    "the low music box note C": "低音八音盒，C 音",
    "the low marimba note C": "低音马林巴，C 音",
    "the low xylophone note C": "低音木琴，C 音",
    "the low church organ note C": "低音管风琴，C 音",
    "the low accordion note C": "低音手风琴，C 音",
    "the low harmonica note C": "低音口琴，C 音",
    "the low guitar note C": "低音吉他，C 音",
    "the low distorted guitar note C": "低音失真吉他，C 音",
    "the low bass guitar note C": "低音贝斯，C 音",
    "the low violin note C": "低音小提琴，C 音",
    "the low cello note C": "低音大提琴，C 音",
    "the low string orchestra note C": "低音弦乐团，C 音",
    "the low harp note C": "低音竖琴，C 音",
    "the low choir note C": "低音合唱团，C 音",
    "the low trumpet note C": "低音小号，C 音",
    "the low tuba note C": "低音大号，C 音",
    "the low saxophone note C": "低音萨克斯，C 音",
    "the low clarinet note C": "低音单簧管，C 音",
    "the low flute note C": "低音长笛，C 音",
    "the low sitar note C": "低音西塔琴，C 音",
    "the low banjo note C": "低音班卓琴，C 音",
    "the low bagpipe note C": "低音风笛，C 音",
    "the low kettledrum note C": "低音定音鼓，C 音",
    "the low electric piano note C": "低音电钢琴，C 音",
    "the low electric guitar note C": "低音电吉他，C 音",
    "the low pan flute note C": "低音排箫，C 音",
    "the low kalimba note C": "低音卡林巴琴，C 音",
    "a galloping horse": "奔跑的马",
    "city traffic": "城市交通",
    "slow sawing": "缓慢的锯木声",
    "a door": "门声",
    "coins": "硬币声",
}
_VOICES = {
    "{name}: {DESCRIPTION}": "{name}：{DESCRIPTION}",
    "A female reporter is speaking": "一位女记者在说话",
    "A woman speaks in an even voice": "女声，语气平稳",
    "A man speaks in a clear and firm voice": "男声，清晰坚定",
    "A man speaks softly and with feeling": "男声，轻柔而有感情",
    "A young woman speaks in a warm and friendly voice": "年轻女声，温暖亲切",
    "A man speaks in a calm voice": "男声，平静",
    "A man tells a story in a lively voice": "男声，生动地讲故事",
    "A man speaks in a deep voice": "男声，低沉",
    "A young woman speaks in a bright voice": "年轻女声，明亮",
    "A woman speaks slowly and calmly": "女声，缓慢平静",
    "A woman speaks in a soft voice": "女声，轻柔",
    "A young man speaks in a lively voice": "年轻男声，活泼",
    "A woman speaks in a natural and relaxed voice": "女声，自然放松",
    "A man speaks in a natural and relaxed voice": "男声，自然放松",
}
CHINESE: dict[str, str] = {
    **_PAGE, **_TASKS, **_SETTINGS, **_CARDS, **_NOTES, **_MISTAKES, **_LOGIN, **_GRADIO, **_PROMPTS, **_VOICES
}  # fmt: skip
PART = re.compile(r"\{(\w+)\}")
LETTER = re.compile("[A-Za-z]")


def chinese(text: str) -> str | None:
    """`text` in Chinese; None if there is no translation. What has no letter is the same in both languages."""
    text = " ".join(text.split())
    if not LETTER.search(text):
        return text
    exact, templates = _tables()
    if text in exact:
        return exact[text]
    for pattern, names, translation in templates:
        if match := re.fullmatch(pattern, text):
            found = zip(names, match.groups(), strict=True)
            shown = {name: _texts(part) if name.isupper() else part for name, part in found}
            if None not in shown.values():
                return PART.sub(lambda part: str(shown[part[1]]), translation)  # noqa: B023 - called at once
    return None


def _texts(text: str) -> str | None:
    """A text, or several with commas between them."""
    if (translation := chinese(text)) is not None:
        return translation
    parts = [_tables()[0].get(part) for part in text.split(", ")]
    return "、".join(str(part) for part in parts) if None not in parts else None


@cache
def _tables() -> tuple[dict[str, str], list[tuple[str, list[str], str]]]:
    """The texts, and the templates as (pattern, names of its groups, translation)."""
    exact = {text: translation for text, translation in CHINESE.items() if not PART.search(text)}
    templates = [
        (_pattern(text), PART.findall(text), translation) for text, translation in CHINESE.items() if PART.search(text)
    ]
    # One with more words of its own first: several may fit.
    templates.sort(key=lambda entry: -len(entry[0]))
    return exact, templates


def _pattern(template: str) -> str:
    """A regular expression, of Python and of JavaScript."""
    literals = [re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", literal) for literal in PART.split(template)[::2]]
    return "(.+?)".join(literals)


def script() -> str:
    """The HTML element that shows the page in the language of the browser, or in that which the user chose."""
    exact, templates = _tables()
    data = json.dumps({"exact": exact, "templates": templates}, ensure_ascii=False).replace("<", "\\u003c")
    code = (HERE / "language.js").read_text("utf-8")
    return f"<script>(function () {{\nconst TEXTS = {data};\n{code}\n}})();</script>"


def switch() -> str:
    """HTML of the buttons that choose the language."""
    return (
        '<p class="languages" translate="no"><button type="button" data-language="en" lang="en">English</button>'
        '<button type="button" data-language="zh" lang="zh">中文</button></p>'
    )
