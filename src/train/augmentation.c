#include "train/augmentation.h"

// Places are in 1/65536 pixel, in 32 bits: of a sample turned about its centre they reach three times its
// side.
enum { MOST_SIDE = 8192 };

static struct ls_augment_range range_of(const struct ls_numbers *numbers) {
    return (struct ls_augment_range){numbers->items[0], numbers->items[1]};
}

struct ls_augment_spec ls_augmentation_of(const struct ls_recipe *recipe) {
    struct ls_augment_spec spec = {
        .shown_height = (int)recipe->data.augment.size,
        .shown_width = (int)recipe->data.augment.size,
        .crop_pad = (int)recipe->data.augment.crop_pad,
        .resized_crop = recipe->data.augment.resized_crop,
        .rotate = recipe->data.augment.rotate,
        .flip = recipe->data.augment.flip,
        .flip_vertical = recipe->data.augment.flip_vertical,
        .brightness = recipe->data.augment.brightness,
        .contrast = recipe->data.augment.contrast,
        .saturation = recipe->data.augment.saturation,
        .hue = recipe->data.augment.hue,
        .cutout = (int)recipe->data.augment.cutout,
        .mixup = recipe->data.augment.mixup,
        .cutmix = recipe->data.augment.cutmix,
        .lane_samples = recipe->train.batch / recipe->train.lanes,
    };
    if (!spec.resized_crop) return spec;
    spec.area = range_of(&recipe->data.augment.scale);
    spec.ratio = range_of(&recipe->data.augment.ratio);
    return spec;
}

static bool changes_color(const struct ls_augment_spec *spec) {
    return spec->brightness > 0 || spec->contrast > 0 || spec->saturation > 0 || spec->hue > 0;
}

static bool interpolates(const struct ls_augment_spec *spec) {
    return spec->resized_crop || spec->rotate > 0;
}

bool ls_augmentation_mixes(const struct ls_recipe *recipe) {
    return recipe->data.augment.mixup > 0 || recipe->data.augment.cutmix > 0;
}

bool ls_augmentation_wanted(const struct ls_recipe *recipe) {
    const struct ls_augment_spec spec = ls_augmentation_of(recipe);
    return spec.crop_pad > 0 || spec.flip || spec.flip_vertical || spec.cutout > 0 || interpolates(&spec) ||
           changes_color(&spec) || ls_augmentation_mixes(recipe);
}

ls_status ls_augmentation_check(const struct ls_recipe *recipe, const struct ls_sample_shape *sample) {
    const struct ls_augment_spec spec = ls_augmentation_of(recipe);
    const long long height = sample->height, width = sample->width, channels = sample->channels;
    if (interpolates(&spec) && (height == 1 || width == 1))
        return LS_FAIL(LS_INPUT, "%s: rotate and resized_crop are for images, but samples are %s",
                       ls_recipe_place(recipe, "data.augment"),
                       height == width ? "vectors" : "one pixel high or wide");
    if (spec.cutmix > 0 && (height == 1 || width == 1))
        return LS_FAIL(LS_INPUT, "%s: cutmix is for images, but samples are %s; use mixup",
                       ls_recipe_place(recipe, "data.augment.cutmix"),
                       height == width ? "vectors" : "one pixel high or wide");
    if (interpolates(&spec) && (height > MOST_SIDE || width > MOST_SIDE))
        return LS_FAIL(LS_INPUT,
                       "%s: rotate and resized_crop are for samples of up to %d pixels a side, but "
                       "these are %lldx%lld",
                       ls_recipe_place(recipe, "data.augment"), MOST_SIDE, height, width);
    if (spec.shown_height > height || spec.shown_width > width)
        return LS_FAIL(LS_INPUT, "%s: %d is more than the samples have, %lldx%lld",
                       ls_recipe_place(recipe, "data.augment.resized_crop.size"), spec.shown_height, height,
                       width);
    if ((spec.saturation > 0 || spec.hue > 0) && channels != 3)
        return LS_FAIL(LS_INPUT, "%s: saturation and hue need samples of 3 channels, but these have %lld",
                       ls_recipe_place(recipe, "data.augment.color"), channels);
    return LS_OK;
}
