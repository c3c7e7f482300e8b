"""HMDB-51, split 1: 8 frames over the video; jitter and flip; test 3 clips x 1 crop.

The paper gives no recipe; Kinetics-400's, but for the sampling: a video has some
90 frames, less than 8 frames with stride 16 span.
"""

_base_ = "video_224.py"

data_root = "data/hmdb51/"
sample = dict(type="UniformSample", clip_len=_base_.num_frames)
clip = dict(**sample, test_mode=True)
clips = dict(**sample, num_clips=3, test_mode=True)
view = [_base_.decode, _base_.short_side, _base_.centre, *_base_.pack]
videos = dict(video=data_root + "videos")
val_set = dict(ann_file=data_root + "hmdb51_val_split_1_videos.txt", data_prefix=videos)
train_dataloader = dict(
    dataset=dict(
        ann_file=data_root + "hmdb51_train_split_1_videos.txt",
        data_prefix=videos,
        pipeline=[_base_.init, sample, _base_.decode, *_base_.jitter_flip, *_base_.pack],
    ),
)
val_dataloader = dict(dataset=dict(**val_set, pipeline=[_base_.init, clip, *view]))
test_dataloader = dict(dataset=dict(**val_set, pipeline=[_base_.init, clips, *view]))
