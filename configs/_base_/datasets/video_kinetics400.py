"""Kinetics-400: 8 frames, stride 16; short-side jitter and flip; test 3 clips x 1 crop."""

_base_ = "video_224.py"

data_root = "data/kinetics400/"
sample = dict(type="SampleFrames", clip_len=_base_.num_frames, frame_interval=16)
clip = dict(**sample, num_clips=1, test_mode=True)
clips = dict(**sample, num_clips=3, test_mode=True)
view = [_base_.decode, _base_.short_side, _base_.centre, *_base_.pack]
val_set = dict(
    ann_file=data_root + "kinetics400_val_list_videos.txt",
    data_prefix=dict(video=data_root + "videos_val"),
)
train_dataloader = dict(
    dataset=dict(
        ann_file=data_root + "kinetics400_train_list_videos.txt",
        data_prefix=dict(video=data_root + "videos_train"),
        pipeline=[
            _base_.init,
            dict(**sample, num_clips=1),
            _base_.decode,
            *_base_.jitter_flip,
            *_base_.pack,
        ],
    ),
)
val_dataloader = dict(dataset=dict(**val_set, pipeline=[_base_.init, clip, *view]))
test_dataloader = dict(dataset=dict(**val_set, pipeline=[_base_.init, clips, *view]))
